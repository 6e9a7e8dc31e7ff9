#include "reactor/child_watch.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "reactor/child_reaper.h"
#include "reactor/event_loop.h"

namespace quintet {
namespace {

// The status of waitpid(2) out of what waitid(2) tells.
int StatusOf(const siginfo_t& info) {
  switch (info.si_code) {
    case CLD_EXITED:
      return W_EXITCODE(info.si_status, 0);
    case CLD_DUMPED:
      return W_EXITCODE(0, info.si_status) | WCOREFLAG;
    default:
      return W_EXITCODE(0, info.si_status);
  }
}

// Leaves the child as it is. -1: no child of this process. `info->si_pid` is 0 while it lives.
int PeekChild(pid_t pid, siginfo_t* info) {
  *info = {};
  int result = 0;
  do {
    result = ::waitid(P_PID, static_cast<id_t>(pid), info, WEXITED | WNOHANG | WNOWAIT);
  } while (result < 0 && errno == EINTR);
  return result;
}

}  // namespace

absl::StatusOr<ChildWatchPtr> ChildWatch::Create(EventLoop& loop, ChildReaper& reaper, pid_t pid,
                                                 Reaping reaping, Callback callback) {
  siginfo_t info;
  // Zero and negative numbers mean other things to the kernel than one process.
  if (pid <= 0 || PeekChild(pid, &info) < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("process ", pid, " is no child of this process, or was waited for"));
  }
  ChildWatchPtr watch(new ChildWatch(pid, reaping, std::move(callback)));
  if (!watch->WatchDescriptor(loop)) {
    watch->reaper_ = &reaper;
    reaper.Add(*watch);
  }
  return watch;
}

bool ChildWatch::WatchDescriptor(EventLoop& loop) {
  // Linux 5.3; close-on-exec by itself. The C library has a function for it from glibc 2.36 on.
  pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) return false;
  // Readable once the process has ended, a zombie, and for ever after.
  auto watcher =
      loop.Watch(pidfd_, Readiness::kReadable, Trigger::kLevel, [this](Readiness) { Look(); });
  if (watcher.ok()) {
    watcher_ = *std::move(watcher);
    return true;
  }
  ::close(pidfd_);
  pidfd_ = -1;
  return false;
}

ChildWatch::~ChildWatch() { Stop(); }

void ChildWatch::Stop() {
  watcher_.reset();
  if (pidfd_ >= 0) ::close(std::exchange(pidfd_, -1));
  if (reaper_ != nullptr) std::exchange(reaper_, nullptr)->Remove(*this);
}

bool ChildWatch::TakeStatus(int& status) const {
  if (reaping_ == Reaping::kByOwner) {
    siginfo_t info;
    if (PeekChild(pid_, &info) < 0) {
      status = kUnknownStatus;
      return true;
    }
    if (info.si_pid == 0) return false;
    status = StatusOf(info);
    return true;
  }
  pid_t ended = 0;
  do {
    ended = ::waitpid(pid_, &status, WNOHANG);
  } while (ended < 0 && errno == EINTR);
  if (ended < 0) status = kUnknownStatus;
  return ended != 0;
}

void ChildWatch::Look() {
  int status = kUnknownStatus;
  if (!TakeStatus(status)) return;
  ended_ = true;
  Stop();
  // It may destroy this.
  Callback callback = std::move(callback_);
  callback(status);
}

}  // namespace quintet
