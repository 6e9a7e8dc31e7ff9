// The end of a child process as an event of a loop.
#ifndef QUINTET_REACTOR_CHILD_WATCH_H_
#define QUINTET_REACTOR_CHILD_WATCH_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "reactor/watcher.h"

namespace quintet {

class ChildReaper;
class EventLoop;

// Made by EventLoop::WatchChild(). Loop's thread only. May be destroyed at any moment, also in its
// own callback, and may outlive the loop: the callback is not called any more then. A child whose
// watch is destroyed before its end is not reaped: it is the caller's again, to wait for with
// waitpid(2), to watch anew, or to be rid of with EventLoop::KillAndReap().
class ChildWatch {
 public:
  // Called once. `status` is what waitpid(2) tells (WIFEXITED and so on), or kUnknownStatus.
  using Callback = absl::AnyInvocable<void(int status)>;

  // Neither WIFEXITED nor WIFSIGNALED: somebody else has waited for the child, or this process
  // ignores SIGCHLD, so that the kernel keeps no status (sigaction(2), SA_NOCLDWAIT).
  static constexpr int kUnknownStatus = -1;

  enum class Reaping : uint8_t {
    kAtEnd,    // before the callback: no zombie is left
    kByOwner,  // not at all: the process id stays the child's until the owner calls waitpid(2)
  };

  ~ChildWatch();
  ChildWatch(const ChildWatch&) = delete;
  ChildWatch& operator=(const ChildWatch&) = delete;

  pid_t pid() const { return pid_; }
  // The callback was called or is being called.
  bool ended() const { return ended_; }

 private:
  friend class ChildReaper;
  friend class EventLoop;

  ChildWatch(pid_t pid, Reaping reaping, Callback callback)
      : pid_(pid), reaping_(reaping), callback_(std::move(callback)) {}

  // `reaper` looks at children of whom no descriptor tells. InvalidArgument: no child of this
  // process, or one that was waited for.
  static absl::StatusOr<std::unique_ptr<ChildWatch>> Create(EventLoop& loop, ChildReaper& reaper,
                                                            pid_t pid, Reaping reaping,
                                                            Callback callback);
  bool WatchDescriptor(EventLoop& loop);
  // Asks the kernel, and tells the callback if the child has ended; this may be destroyed then.
  void Look();
  bool TakeStatus(int& status) const;
  void Stop();

  const pid_t pid_;
  Reaping reaping_;
  bool ended_ = false;
  Callback callback_;
  int pidfd_ = -1;
  WatcherPtr watcher_;
  ChildReaper* reaper_ = nullptr;  // where it is looked at by signal
};

using ChildWatchPtr = std::unique_ptr<ChildWatch>;

}  // namespace quintet

#endif  // QUINTET_REACTOR_CHILD_WATCH_H_
