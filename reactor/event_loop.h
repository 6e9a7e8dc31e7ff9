// The event loop: one thread, one backend, timers, tasks.
#ifndef QUINTET_REACTOR_EVENT_LOOP_H_
#define QUINTET_REACTOR_EVENT_LOOP_H_

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reactor/backend.h"
#include "reactor/backend_factory.h"
#include "reactor/child_watch.h"
#include "reactor/clock.h"
#include "reactor/file_request.h"
#include "reactor/log.h"
#include "reactor/loop_gauges.h"
#include "reactor/task_queue.h"
#include "reactor/timer_table.h"
#include "reactor/timer_wheel.h"
#include "reactor/turn_meter.h"
#include "reactor/watcher.h"

namespace quintet {

class ChildReaper;
class FilePool;
class SignalWatcher;

struct EventLoopOptions {
  BackendOptions backend;

  // Bounds of one turn, so that completions, timers and tasks cannot starve one another.
  size_t max_completions_per_turn = 512;
  size_t max_timers_per_turn = 512;
  // Completions are not handed out any more when the turn has done so for so long, looked at after
  // every kCompletionsPerLook: on io_uring the replies of a turn leave when it is over, and would
  // wait for all handlers that are slow. The default is several times what a full turn of quick
  // ones takes.
  Duration max_dispatch_time = std::chrono::milliseconds(5);
  static constexpr size_t kCompletionsPerLook = 8;

  // Threads for the file requests of this loop that its backend does not perform itself: all but on
  // io_uring, and FileRequest::Call() there too. At least 1. What threads wait for is the disk, and
  // four requests keep one busy; the loops of a process have so many each. They are started when
  // requests wait, and end when there has been nothing to do for FilePool::kIdleTime.
  int max_file_threads = 4;

  // A turn that is busy for so long without looking at the kernel is a stall: counted, and logged
  // at a limited rate (TurnMeter::kLogPeriod). The default is four times what a full turn takes at
  // 10 us for each completion, and a fifth of the delay that people notice (100 ms). Zero: no turn
  // is a stall.
  Duration stall_threshold = std::chrono::milliseconds(20);
  // Where the loop writes how busy its turns are, for example in memory that a supervisor reads.
  // Must outlive the loop, and no other loop may write there meanwhile. Null: the loop keeps its
  // own.
  LoopGauges* gauges = nullptr;
};

// What a loop did since it was made.
struct EventLoopStats {
  uint64_t turns = 0;
  uint64_t tasks = 0;
  uint64_t timers = 0;
  uint64_t exceptions = 0;  // thrown by a user's callback, caught and logged
  // File requests that held the loop up, because no thread could be started for them.
  uint64_t files_in_place = 0;
};

// Belongs to the thread of its first turn. It may be made on one thread and run on another (the
// ring of io_uring is enabled by the first turn); until the first turn its methods may be called by
// one thread at a time, from then on by that thread only. Post(), TryPost(), Stop(), gauges() and
// InLoopThread() may be called from any thread. Debug builds check. Destroy it on its own thread,
// or after that thread has ended.
//
// An exception thrown by a callback ends at the loop: it is logged and counted, and the loop goes
// on. (Connections are closed by it, see net/connection.h.)
class EventLoop {
 public:
  // Errors: Unavailable (the backend cannot be set up; the text says step and errno),
  // ResourceExhausted (no descriptors left).
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create(EventLoopOptions options = {});
  // A loop on a backend and a clock of the caller's, as simulators do. `clock` must outlive it.
  static std::unique_ptr<EventLoop> CreateWith(std::unique_ptr<Backend> backend, Clock& clock,
                                               EventLoopOptions options = {});

  // Closes what is still attached and delivers each kClosed; posted tasks and timers that have not
  // run are destroyed, deferred ones run. File requests that are being performed are waited for,
  // the others are dropped, and the callbacks of all are destroyed, before anything else is.
  // Not from inside a callback of this loop.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs turns until Stop(). A Stop() that came first makes it return at once. May be called again
  // after it returned, on the same thread. Not from inside a callback (checked).
  void Run();

  // One turn, which waits at most `max_wait`, and not at all when a task was there to run. Returns
  // whether anything was done: a completion, a task, a timer.
  bool RunOnce(Duration max_wait);

  // Any thread, also a signal handler: the current or the next Run() returns at the end of its
  // turn.
  void Stop();

  // Any thread: `task` runs on the loop's thread within one turn. Tasks of one thread keep their
  // order. Posting to a loop that is being destroyed is an error of the caller.
  void Post(Task task);

  // Any thread: as Post(), but only while fewer than `limit` posted tasks wait for the loop,
  // whoever posted them; those that have begun to run wait no more. The bound is exact. False, and
  // `task` is left as it was (a temporary is destroyed with the caller's statement), when there is
  // no room.
  [[nodiscard]] bool TryPost(Task&& task, size_t limit);

  // Loop's thread: `task` runs at the end of the current turn, before the loop waits again; from
  // outside a turn, in the next one before it waits.
  void Defer(Task task);

  // Runs `task` at a time, after a delay, or again and again. Resolution TimerWheel::kTick, never
  // early. Delays count from the present, not from the start of the turn. A periodic timer that
  // fell behind (a long callback, a suspended machine) skips the missed periods.
  TimerHandle RunAt(TimePoint when, Task task);
  TimerHandle RunAfter(Duration delay, Task task);
  TimerHandle RunEvery(Duration period, Task task);
  // True when the timer was armed. From inside its own callback: stops a periodic one.
  bool Cancel(TimerHandle timer);

  // The same with a timer that the caller embeds, for what must not allocate.
  void StartTimer(Timer& timer, TimePoint expiry) { timers_.Start(timer, expiry); }
  static void CancelTimer(Timer& timer) { TimerWheel::Cancel(timer); }

  // Watches a descriptor that stays the caller's: it must be non-blocking, stay open for as long as
  // the watch lives, and be in no other source of this loop. The callback may destroy the watch.
  // Errors: those of Backend::Add() and Backend::Watch().
  absl::StatusOr<WatcherPtr> Watch(int fd, Readiness interest, Trigger trigger,
                                   Watcher::Callback callback);

  // Calls `callback` on the loop's thread when the process is sent signal `signo`, through
  // signalfd(2). Blocks the signal in the calling thread, so call it before other threads start.
  // One callback per signal and loop (AlreadyExists). UnwatchSignal and the loop's end restore the
  // calling thread's mask for it.
  using SignalCallback = absl::AnyInvocable<void(int signo)>;
  absl::Status WatchSignal(int signo, SignalCallback callback);
  void UnwatchSignal(int signo);

  // Calls `callback` once, in a later turn, with how a child process ended (see ChildWatch), also
  // when it has ended already. Through a descriptor of the process, pidfd_open(2), Linux 5.3. Where
  // there is none (an older kernel, a filter, no descriptor left, select and a number above its
  // limit) through SIGCHLD, as by WatchSignal(), which then stays watched, and within
  // ChildReaper::kPeriod (100 ms) where that signal goes to another thread or is watched already.
  // Only this process is waited for, never "any child". InvalidArgument: no child of this process,
  // or one that was waited for.
  absl::StatusOr<ChildWatchPtr> WatchChild(
      pid_t pid, ChildWatch::Callback callback,
      ChildWatch::Reaping reaping = ChildWatch::Reaping::kAtEnd);
  // Performs `request` without holding up the loop: on io_uring by the ring, else by threads of the
  // loop's own (EventLoopOptions::max_file_threads). `done` is called once with the result, in a
  // later turn, never from inside this call. What the request points to, buffers, paths and
  // descriptors, must stay until `done` is called or destroyed: let `done` own it. There is no
  // cancellation. The end of the loop destroys `done` without calling it, when nobody uses what it
  // owns any more, and waits for what is being performed: a FIFO from which a thread reads must
  // come to an end. While the loop is being destroyed this destroys both at once. Where no thread
  // can be started the request is performed within this call, logged once and counted.
  void StartFile(FileRequest request, FileDone done);

  // Sends SIGKILL to the child of `watch` and reaps it when it has ended, telling nobody. The end
  // of the loop waits for it: SIGKILL does not take long.
  void KillAndReap(ChildWatchPtr watch);

  // The time of the current turn: read before its tasks run, and again when it has waited. For
  // measuring, ask clock(). Outside of a turn: the present.
  TimePoint now() const { return in_turn_ ? now_ : clock_.Now(); }
  Clock& clock() { return clock_; }

  bool InLoopThread() const;
  Backend& backend() { return *backend_; }
  const EventLoopStats& stats() const { return stats_; }
  // Any thread.
  const LoopGauges& gauges() const { return meter_.gauges(); }
  const LogFunction& log() const { return options_.backend.log; }

 private:
  EventLoop(std::unique_ptr<Clock> owned_clock, Clock& clock, std::unique_ptr<Backend> backend,
            EventLoopOptions options);

  void BindToThread();
  bool Turn(TimePoint deadline, bool once);
  size_t RunTasks();
  size_t RunDeferred();
  void WaitUntil(TimePoint deadline);
  size_t Dispatch();
  size_t FireTimers();
  void DeliverFiles();
  void Drain();
  void DropTasks();
  ChildReaper& children();
  // Calls `callback` and keeps what it throws from leaving the loop.
  template <typename Callback>
  void Guard(Callback&& callback);
  void ReportException(const char* what);
  void CheckThread() const;

  const std::unique_ptr<Clock> owned_clock_;  // null when the caller passed one in
  Clock& clock_;
  const EventLoopOptions options_;
  const std::unique_ptr<Backend> backend_;
  TimePoint now_;
  TimerWheel timers_;
  TimerTable timer_table_;
  TaskQueue posted_;
  std::vector<Task> deferred_;
  std::vector<Task> running_deferred_;  // kept for its capacity
  std::unique_ptr<SignalWatcher> signals_;
  std::unique_ptr<ChildReaper> children_;
  std::unique_ptr<FilePool> file_pool_;  // null until it is needed
  std::atomic<bool> stop_ = false;
  std::atomic<std::thread::id> owner_ = std::thread::id();
  bool in_turn_ = false;
  bool draining_ = false;
  EventLoopStats stats_;
  TurnMeter meter_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_EVENT_LOOP_H_
