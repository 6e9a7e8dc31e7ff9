// A descriptor that others read and write, watched for readiness.
#ifndef QUINTET_REACTOR_WATCHER_H_
#define QUINTET_REACTOR_WATCHER_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "reactor/readiness.h"
#include "reactor/source.h"

namespace quintet {

class EventLoop;

// Made by EventLoop::Watch() and held through WatcherPtr. Loop's thread only.
class Watcher final : public Source {
 public:
  // What the descriptor is ready for: interest asked for, with kHangup and kError unasked.
  using Callback = absl::AnyInvocable<void(Readiness ready)>;

  // Replaces what is watched for; kNone pauses. Unimplemented for edges on select and poll.
  absl::Status Modify(Readiness interest, Trigger trigger);

 private:
  friend class EventLoop;
  friend struct WatcherDeleter;

  Watcher(EventLoop& loop, int fd, Callback callback);
  ~Watcher() override = default;

  void OnCompletion(const Completion& completion) override;
  void Destroy();

  EventLoop& loop_;
  Callback callback_;
  bool destroyed_ = false;
};

// Ends the watch: no callback runs after it, also when called from the watch's own callback. The
// descriptor stays open. It may be watched again at once. Closed in the same turn, it is gone for
// its peer only when the turn is over, on io_uring.
struct WatcherDeleter {
  void operator()(Watcher* watcher) const { watcher->Destroy(); }
};
using WatcherPtr = std::unique_ptr<Watcher, WatcherDeleter>;

}  // namespace quintet

#endif  // QUINTET_REACTOR_WATCHER_H_
