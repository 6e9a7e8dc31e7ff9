// The children of a loop that nothing else tells of, or that nobody waits for.
#ifndef QUINTET_REACTOR_CHILD_REAPER_H_
#define QUINTET_REACTOR_CHILD_REAPER_H_

#include <chrono>
#include <vector>

#include "reactor/child_watch.h"
#include "reactor/clock.h"
#include "reactor/timer_table.h"

namespace quintet {

class EventLoop;

// One per loop. Loop's thread only. Looks at each child by itself with waitpid(pid, WNOHANG),
// never at "any child": the others belong to other code of this process.
class ChildReaper {
 public:
  // SIGCHLD may be taken by another thread that does not block it, by another loop of the process,
  // or by the user's own EventLoop::WatchSignal(); many that come at once are one (signal(7)). So
  // children are also looked at so often, while there are any: seldom enough to cost nothing.
  static constexpr Duration kPeriod = std::chrono::milliseconds(100);

  explicit ChildReaper(EventLoop& loop) : loop_(loop) {}
  // Waits for the adopted children, which were sent SIGKILL.
  ~ChildReaper();
  ChildReaper(const ChildReaper&) = delete;
  ChildReaper& operator=(const ChildReaper&) = delete;

  // Calls ChildWatch::Look() at each SIGCHLD, each kPeriod, and in the next turn: the child may
  // have ended already.
  void Add(ChildWatch& watch);
  void Remove(ChildWatch& watch);

  // Sends SIGKILL and reaps the child when it has ended.
  void Adopt(ChildWatchPtr watch);

 private:
  void LookAtAll();
  void StopWhenEmpty();

  EventLoop& loop_;
  std::vector<ChildWatch*> watches_;  // null: removed while they are looked at
  std::vector<ChildWatchPtr> adopted_;
  bool looking_ = false;
  bool look_due_ = false;  // in the next turn
  bool signal_watched_ = false;
  bool timer_armed_ = false;
  TimerHandle timer_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_CHILD_REAPER_H_
