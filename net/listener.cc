#include "net/listener.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reactor/errno_class.h"
#include "reactor/errno_text.h"

namespace quintet {
namespace {

// Removes the file of a Unix socket that nobody listens on any more. Bind refuses an existing file,
// also one that a dead process has left (unix(7), "Pathname sockets").
absl::Status RemoveStaleSocketFile(const Address& address) {
  const std::string path(address.unix_path());
  struct stat info;
  if (path.empty() || ::lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(address.ToString(), ": exists and is not a socket"));
  }
  auto probe = Socket::CreateStream(address);
  if (!probe.ok()) return probe.status();
  if (::connect(probe->fd(), address.data(), address.size()) == 0 || errno != ECONNREFUSED) {
    return absl::AlreadyExistsError(absl::StrCat(address.ToString(), ": address in use"));
  }
  ::unlink(path.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Socket> BindTo(const Address& address, const ListenOptions& options) {
  auto socket = Socket::CreateStream(address);
  if (!socket.ok()) return socket;
  absl::Status status;
  if (address.is_unix()) {
    status = RemoveStaleSocketFile(address);
  } else {
    // Connections in TIME_WAIT must not keep a restarted server from its port.
    status = socket->SetReuseAddress(true);
    if (status.ok() && options.reuse_port) status = socket->SetReusePort(true);
    if (status.ok()) status = socket->SetNoDelay(true);
    if (status.ok() && address.family() == AF_INET6) status = socket->SetV6Only(true);
  }
  if (status.ok()) status = socket->Bind(address);
  if (!status.ok()) return status;
  return socket;
}

absl::StatusOr<Socket> ListenOn(const Address& address, const ListenOptions& options) {
  auto socket = BindTo(address, options);
  if (!socket.ok()) return socket;
  if (absl::Status status = socket->Listen(options.backlog); !status.ok()) return status;
  return socket;
}

absl::StatusOr<ListenerPtr> Listener::Create(EventLoop& loop, Socket socket, Callback on_accept,
                                             Sharing sharing) {
  ListenerPtr listener(new Listener(loop, socket.fd(), std::move(on_accept)));
  const absl::Status status = loop.backend().Add(*listener);
  if (!status.ok()) return status;
  if (sharing == Sharing::kShared) loop.backend().ShareAccept(*listener);
  [[maybe_unused]] const int fd = socket.Release();  // the backend closes it
  listener->Resume();
  return listener;
}

Listener::Listener(EventLoop& loop, int fd, Callback on_accept)
    : Source(fd), loop_(loop), on_accept_(std::move(on_accept)), paused_(true) {}

void Listener::Pause() {
  paused_ = true;
  if (!armed_) return;
  armed_ = false;
  loop_.backend().StopAccept(*this);
}

void Listener::Resume() {
  if (finishing_) return;
  paused_ = false;
  // Also in an episode of exhaustion, whose timer may have fired during the pause.
  Arm();
}

void Listener::Retry() {
  if (exhausted_ && !paused_) Arm();
}

void Listener::Finish(Backlog backlog, std::function<void()> on_finished) {
  on_finished_ = std::move(on_finished);
  finishing_ = true;
  paused_ = true;
  armed_ = false;
  loop_.Cancel(retry_timer_);
  if (attached()) loop_.backend().FinishAccept(*this, backlog);
}

void Listener::Look() {
  if (armed_ && attached()) loop_.backend().StartAccept(*this);
}

void Listener::Arm() {
  if (armed_ || !attached()) return;
  loop_.Cancel(retry_timer_);
  armed_ = true;
  loop_.backend().StartAccept(*this);
}

void Listener::OnCompletion(const Completion& completion) {
  if (completion.op == Op::kClosed) {
    if (destroyed_) loop_.Defer([this] { delete this; });
    return;
  }
  if (completion.result < 0) {
    if (!finishing_) {
      OnAcceptError(-completion.result);
    } else if (completion.result == -ECANCELED) {
      // May destroy this.
      std::exchange(on_finished_, nullptr)();
    }
    return;
  }
  ++accepted_;
  exhausted_ = false;
  on_accept_(Socket(completion.result));
}

void Listener::OnAcceptError(int error) {
  armed_ = false;
  const bool exhausted = IsDescriptorExhaustion(error) || IsMemoryExhaustion(error);
  // Descriptors that come and go one by one are one episode, not one each.
  const TimePoint now = loop_.clock().Now();
  const bool begins = now >= quiet_until_;
  quiet_until_ = AddSaturated(now, kRetryInterval + kRetryInterval);
  if (begins) {
    if (exhausted) {
      ++exhaustions_;
      if (on_exhausted_) on_exhausted_();
    }
    if (loop_.log()) {
      loop_.log()(LogLevel::kWarning,
                  absl::StrCat("accept: ", ErrnoText(error),
                               exhausted ? "; accepting is paused until descriptors are free"
                                         : "; will be tried again"));
    }
  }
  exhausted_ = true;
  loop_.Cancel(retry_timer_);
  retry_timer_ = loop_.RunAfter(kRetryInterval, [this] { Retry(); });
}

void Listener::Destroy() {
  if (!attached()) {
    // The loop has gone away first, or never took the socket.
    delete this;
    return;
  }
  destroyed_ = true;
  loop_.Cancel(retry_timer_);
  loop_.backend().Close(*this, CloseMode::kClose);
}

}  // namespace quintet
