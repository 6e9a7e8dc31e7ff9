// Signals as events of a loop, through signalfd(2).
#ifndef QUINTET_REACTOR_SIGNAL_WATCHER_H_
#define QUINTET_REACTOR_SIGNAL_WATCHER_H_

#include <signal.h>

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reactor/watcher.h"

namespace quintet {

class EventLoop;

// One per loop, made by its first WatchSignal(). Loop's thread only.
class SignalWatcher {
 public:
  using Callback = absl::AnyInvocable<void(int signo)>;

  static absl::StatusOr<std::unique_ptr<SignalWatcher>> Create(EventLoop& loop);
  // Restores the mask of the calling thread for every signal still watched.
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

  absl::Status Add(int signo, Callback callback);
  // Nothing happens where `signo` is not watched. A callback may remove itself.
  void Remove(int signo);

 private:
  struct Entry {
    int signo;
    bool was_blocked;  // before Add()
    Callback callback;
  };

  explicit SignalWatcher(int fd);

  void OnReadable();
  void Restore(const Entry& entry);

  const int fd_;
  sigset_t mask_;
  WatcherPtr watcher_;
  std::vector<Entry> entries_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIGNAL_WATCHER_H_
