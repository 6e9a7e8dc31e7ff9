#include "reactor/signal_watcher.h"

#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "reactor/errno_text.h"
#include "reactor/event_loop.h"
#include "reactor/signal_set.h"

namespace quintet {

absl::StatusOr<std::unique_ptr<SignalWatcher>> SignalWatcher::Create(EventLoop& loop) {
  const sigset_t none = SignalSet({});
  const int fd = ::signalfd(-1, &none, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return absl::ResourceExhaustedError(absl::StrCat("signalfd: ", ErrnoText(errno)));
  std::unique_ptr<SignalWatcher> signals(new SignalWatcher(fd));
  auto watcher = loop.Watch(fd, Readiness::kReadable, Trigger::kLevel,
                            [raw = signals.get()](Readiness) { raw->OnReadable(); });
  if (!watcher.ok()) return watcher.status();
  signals->watcher_ = *std::move(watcher);
  return signals;
}

SignalWatcher::SignalWatcher(int fd) : fd_(fd) { sigemptyset(&mask_); }

SignalWatcher::~SignalWatcher() {
  watcher_.reset();
  ::close(fd_);
  for (const Entry& entry : entries_) Restore(entry);
}

absl::Status SignalWatcher::Add(int signo, Callback callback) {
  const auto watched = [signo](const Entry& entry) { return entry.signo == signo; };
  if (std::any_of(entries_.begin(), entries_.end(), watched)) {
    return absl::AlreadyExistsError(absl::StrCat("signal ", signo, " is watched already"));
  }
  if (sigaddset(&mask_, signo) != 0 || signo == SIGKILL || signo == SIGSTOP) {
    sigdelset(&mask_, signo);
    return absl::InvalidArgumentError(absl::StrCat("signal ", signo, " cannot be watched"));
  }
  // Blocked first: what signalfd is to hand out must not be delivered the ordinary way.
  const sigset_t set = SignalSet({signo});
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  entries_.push_back({signo, sigismember(&before, signo) == 1, std::move(callback)});
  ::signalfd(fd_, &mask_, 0);
  return absl::OkStatus();
}

void SignalWatcher::Remove(int signo) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [signo](const Entry& e) { return e.signo == signo; });
  if (entry == entries_.end()) return;
  sigdelset(&mask_, signo);
  ::signalfd(fd_, &mask_, 0);
  const Entry removed = std::move(*entry);
  entries_.erase(entry);
  Restore(removed);
}

void SignalWatcher::Restore(const Entry& entry) {
  if (entry.was_blocked) return;
  const sigset_t set = SignalSet({entry.signo});
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void SignalWatcher::OnReadable() {
  signalfd_siginfo info;
  // One signal a turn: the descriptor stays ready while there are more.
  if (::read(fd_, &info, sizeof(info)) != sizeof(info)) return;
  const int signo = static_cast<int>(info.ssi_signo);
  const auto find = [this, signo] {
    return std::find_if(entries_.begin(), entries_.end(),
                        [signo](const Entry& e) { return e.signo == signo; });
  };
  const auto entry = find();
  if (entry == entries_.end()) return;
  // Called from outside the list, because it may change the list.
  Callback callback = std::move(entry->callback);
  // Also when it throws: the next signal needs it again.
  const absl::Cleanup put_back = [&] {
    const auto same = find();
    if (same != entries_.end() && !same->callback) same->callback = std::move(callback);
  };
  callback(signo);
}

}  // namespace quintet
