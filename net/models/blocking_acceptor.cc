#include "net/models/blocking_acceptor.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "reactor/errno_class.h"
#include "reactor/errno_text.h"

namespace quintet {

bool BlockingAcceptor::resting() {
  if (rests_until_ <= clock_.Now()) rests_until_ = kNever;
  return rests_until_ != kNever;
}

void BlockingAcceptor::AppendTo(std::vector<pollfd>& polled) {
  if (resting()) return;
  for (const int fd : listening_) polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
}

std::optional<Socket> BlockingAcceptor::AcceptFrom(const std::vector<pollfd>& polled) {
  for (size_t i = 0; i < listening_.size(); ++i) {
    const size_t index = (next_ + i) % listening_.size();
    const int fd = listening_[index];
    const bool ready = std::any_of(polled.begin(), polled.end(), [fd](const pollfd& entry) {
      return entry.fd == fd && entry.revents != 0;
    });
    if (!ready) continue;
    next_ = index + 1;
    if (auto socket = Accept(fd)) return socket;
    if (error_ == EAGAIN) ConnectionCounters::Add(counters_.empty_accepts, 1);
    if (rests_until_ != kNever) break;
  }
  return std::nullopt;
}

std::optional<Socket> BlockingAcceptor::Accept(int listening) {
  for (;;) {
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return Socket(fd);
    error_ = errno;
    // EINTR is told: the caller may have been interrupted in order to look at something.
    if (error_ == EAGAIN || error_ == EINTR || error_ == EINVAL) return std::nullopt;
    if (IsTransientAcceptError(error_)) continue;
    Rest();
    return std::nullopt;
  }
}

void BlockingAcceptor::Rest() {
  const bool exhausted = IsDescriptorExhaustion(error_) || IsMemoryExhaustion(error_);
  // Descriptors that come and go one by one are one episode, not one each.
  const TimePoint now = clock_.Now();
  rests_until_ = AddSaturated(now, kRetryInterval);
  const bool begins = now >= quiet_until_;
  quiet_until_ = AddSaturated(now, kRetryInterval + kRetryInterval);
  if (!begins) return;
  if (exhausted) ConnectionCounters::Add(counters_.accept_pauses, 1);
  if (log_) {
    log_(LogLevel::kWarning,
         absl::StrCat("accept: ", ErrnoText(error_),
                      exhausted ? "; accepting is paused until descriptors are free"
                                : "; will be tried again"));
  }
}

}  // namespace quintet
