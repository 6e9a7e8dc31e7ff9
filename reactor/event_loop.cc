#include "reactor/event_loop.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reactor/catch_all.h"
#include "reactor/child_reaper.h"
#include "reactor/file_pool.h"
#include "reactor/signal_watcher.h"

namespace quintet {
namespace {

[[noreturn]] void Die(std::string_view message) {
  std::fprintf(stderr, "quintet: %.*s\n", static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create(EventLoopOptions options) {
  auto clock = std::make_unique<SteadyClock>();
  auto backend = CreateBackend(options.backend, *clock);
  if (!backend.ok()) return backend.status();
  Clock& clock_ref = *clock;
  return std::unique_ptr<EventLoop>(
      new EventLoop(std::move(clock), clock_ref, *std::move(backend), std::move(options)));
}

std::unique_ptr<EventLoop> EventLoop::CreateWith(std::unique_ptr<Backend> backend, Clock& clock,
                                                 EventLoopOptions options) {
  return std::unique_ptr<EventLoop>(
      new EventLoop(nullptr, clock, std::move(backend), std::move(options)));
}

EventLoop::EventLoop(std::unique_ptr<Clock> owned_clock, Clock& clock,
                     std::unique_ptr<Backend> backend, EventLoopOptions options)
    : owned_clock_(std::move(owned_clock)),
      clock_(clock),
      options_(std::move(options)),
      backend_(std::move(backend)),
      now_(clock_.Now()),
      timers_(now_),
      timer_table_(timers_),
      meter_(options_.gauges, options_.stall_threshold, log()) {}

EventLoop::~EventLoop() {
  assert(!in_turn_ && "a loop was destroyed from inside one of its callbacks");
  // Where the loop's thread has ended, what runs from here on belongs to this one.
  owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  signals_.reset();
  Drain();
}

// Delivers every kClosed, so that each source learns that the loop is gone and no kernel keeps a
// pointer to its memory.
void EventLoop::Drain() {
  in_turn_ = true;
  draining_ = true;
  now_ = clock_.Now();
  DropTasks();
  // Before any source is told that it is closed: its memory may be what a request reads into.
  file_pool_.reset();
  backend_->EndFiles();
  backend_->CloseAll();
  while (backend_->attached_sources() > 0 || !deferred_.empty()) {
    RunDeferred();
    DropTasks();
    // A deferred task may have made a new source.
    backend_->CloseAll();
    if (backend_->attached_sources() == 0) continue;
    backend_->Wait(kNever);
    Dispatch();
  }
  in_turn_ = false;
}

// What was never run may own sources: destroyed while they can still be closed.
void EventLoop::DropTasks() {
  while (posted_.RunBatch([](Task& task) { task = nullptr; }) > 0) {
  }
  timer_table_.Clear();
}

bool EventLoop::InLoopThread() const {
  const std::thread::id owner = owner_.load(std::memory_order_relaxed);
  return owner == std::thread::id() || owner == std::this_thread::get_id();
}

void EventLoop::CheckThread() const {
#ifndef NDEBUG
  if (!InLoopThread())
    Die("a method of an event loop was called on another thread than the loop's");
#endif
}

void EventLoop::BindToThread() {
  if (owner_.load(std::memory_order_relaxed) == std::this_thread::get_id()) return;
  if (!InLoopThread()) Die("an event loop was run on a second thread");
  const absl::Status status = backend_->BindToThread();
  if (!status.ok()) Die(status.ToString());
  owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

void EventLoop::Run() {
  while (!stop_.load(std::memory_order_acquire)) Turn(kNever, /*once=*/false);
  meter_.End(clock_);
  stop_.store(false, std::memory_order_relaxed);
}

bool EventLoop::RunOnce(Duration max_wait) {
  const bool done =
      Turn(max_wait <= Duration::zero() ? kPollOnly : AddSaturated(clock_.Now(), max_wait),
           /*once=*/true);
  // What the caller does before its next turn is not the loop's business.
  meter_.End(clock_);
  return done;
}

void EventLoop::Stop() {
  stop_.store(true, std::memory_order_release);
  backend_->Wake();
}

void EventLoop::Post(Task task) {
  if (posted_.Push(std::move(task))) backend_->Wake();
}

bool EventLoop::TryPost(Task&& task, size_t limit) {
  const TaskQueue::TryPushResult result = posted_.TryPush(std::move(task), limit);
  if (result == TaskQueue::TryPushResult::kPushedWake) backend_->Wake();
  return result != TaskQueue::TryPushResult::kFull;
}

void EventLoop::Defer(Task task) {
  CheckThread();
  deferred_.push_back(std::move(task));
}

// The order of a turn, and why each step stands where it does:
//  1. posted tasks      before waiting, so that a post costs at most one turn; the batch is taken
//                       once, so a task that posts itself does not hold the loop
//  2. deferred tasks    what the posted ones left to do before the loop sleeps: output goes out
//  3. deadline          after the tasks, which may have started timers
//  4. wait              registrations and sends gathered until here go to the kernel in one go
//  5. clock             read anew after the wait, so that timers see the time they waited for
//  6. completions       bounded; what is left makes the next wait return at once
//  7. expired timers    after completions: bytes that came in time beat the deadline they met
//  8. deferred tasks    output of 6 and 7, destroyed objects; the turn leaves nothing undone
bool EventLoop::Turn(TimePoint deadline, bool once) {
  if (in_turn_) Die("an event loop was run from inside one of its callbacks");
  BindToThread();
  in_turn_ = true;
  ++stats_.turns;
  size_t done = 0;
  if (!posted_.empty() || !deferred_.empty()) {
    now_ = clock_.Now();  // nobody else looks at it before the wait
    meter_.BeginTasks(now_);
    done += RunTasks();
    done += RunDeferred();
    meter_.Count(done);
  }
  meter_.End(clock_);  // so long nobody had looked at the kernel
  // A caller of RunOnce() who has got something done does not want to wait for more.
  WaitUntil(once && done > 0 ? kPollOnly : deadline);
  now_ = clock_.Now();
  meter_.Woke(now_);
  size_t came = Dispatch();
  came += FireTimers();
  came += RunDeferred();
  meter_.Count(came);
#ifndef NDEBUG
  backend_->Validate();
#endif
  in_turn_ = false;
  return done + came > 0;
}

size_t EventLoop::RunTasks() {
  const size_t ran = posted_.RunBatch([this](Task& task) { Guard(task); });
  stats_.tasks += ran;
  return ran;
}

size_t EventLoop::RunDeferred() {
  if (deferred_.empty()) return 0;
  running_deferred_.swap(deferred_);
  for (Task& task : running_deferred_) {
    Guard(task);
    task = nullptr;
  }
  const size_t ran = running_deferred_.size();
  running_deferred_.clear();
  return ran;
}

void EventLoop::WaitUntil(TimePoint deadline) {
  deadline = std::min(deadline, timers_.NextWakeup());
  if (!deferred_.empty() || stop_.load(std::memory_order_acquire)) deadline = kPollOnly;
  if (!posted_.PrepareToSleep()) deadline = kPollOnly;
  backend_->Wait(deadline);
  posted_.FinishSleep();
}

size_t EventLoop::Dispatch() {
  size_t delivered = 0;
  Completion completion;
  while (delivered < options_.max_completions_per_turn && backend_->Next(&completion)) {
    ++delivered;
    Guard([&] { completion.source->OnCompletion(completion); });
    if (delivered % EventLoopOptions::kCompletionsPerLook == 0 &&
        clock_.Now() - now_ > options_.max_dispatch_time) {
      break;
    }
  }
  return delivered;
}

size_t EventLoop::FireTimers() {
  size_t fired = 1;  // the one that threw, if none returns; those before it go uncounted
  Guard([&] { fired = timers_.FireExpired(now_, options_.max_timers_per_turn); });
  stats_.timers += fired;
  return fired;
}

template <typename Callback>
void EventLoop::Guard(Callback&& callback) {
  CatchAll(callback, [this](const char* what) { ReportException(what); });
}

void EventLoop::ReportException(const char* what) {
  ++stats_.exceptions;
  if (log()) log()(LogLevel::kError, absl::StrCat("a callback threw: ", what));
}

TimerHandle EventLoop::RunAt(TimePoint when, Task task) {
  CheckThread();
  return timer_table_.Add(when, Duration::zero(), std::move(task));
}

TimerHandle EventLoop::RunAfter(Duration delay, Task task) {
  // At once is a time that is past already: the present would be rounded up to the next tick.
  if (delay <= Duration::zero()) return RunAt(kPollOnly, std::move(task));
  return RunAt(AddSaturated(clock_.Now(), delay), std::move(task));
}

TimerHandle EventLoop::RunEvery(Duration period, Task task) {
  CheckThread();
  const Duration at_least = std::max(period, Duration(1));
  return timer_table_.Add(AddSaturated(clock_.Now(), at_least), at_least, std::move(task));
}

bool EventLoop::Cancel(TimerHandle timer) {
  CheckThread();
  return timer_table_.Cancel(timer);
}

absl::StatusOr<WatcherPtr> EventLoop::Watch(int fd, Readiness interest, Trigger trigger,
                                            Watcher::Callback callback) {
  CheckThread();
  WatcherPtr watcher(new Watcher(*this, fd, std::move(callback)));
  absl::Status status = backend_->Add(*watcher);
  if (status.ok()) status = backend_->Watch(*watcher, interest, trigger);
  if (!status.ok()) return status;
  return watcher;
}

absl::Status EventLoop::WatchSignal(int signo, SignalCallback callback) {
  CheckThread();
  if (signals_ == nullptr) {
    auto signals = SignalWatcher::Create(*this);
    if (!signals.ok()) return signals.status();
    signals_ = *std::move(signals);
  }
  return signals_->Add(signo, std::move(callback));
}

void EventLoop::UnwatchSignal(int signo) {
  CheckThread();
  if (signals_ != nullptr) signals_->Remove(signo);
}

ChildReaper& EventLoop::children() {
  if (children_ == nullptr) children_ = std::make_unique<ChildReaper>(*this);
  return *children_;
}

absl::StatusOr<ChildWatchPtr> EventLoop::WatchChild(pid_t pid, ChildWatch::Callback callback,
                                                    ChildWatch::Reaping reaping) {
  CheckThread();
  return ChildWatch::Create(*this, children(), pid, reaping, std::move(callback));
}

void EventLoop::StartFile(FileRequest request, FileDone done) {
  CheckThread();
  if (draining_ || backend_->StartFile(request, done)) return;
  if (file_pool_ == nullptr) {
    file_pool_ = std::make_unique<FilePool>(
        options_.max_file_threads, FilePool::kIdleTime,
        [this] { Post([this] { DeliverFiles(); }); }, log());
  }
  file_pool_->Start(std::move(request), std::move(done));
  stats_.files_in_place = file_pool_->performed_in_place();
}

// One post for all that are over: until nothing is left the pool does not post again.
void EventLoop::DeliverFiles() {
  for (size_t left = options_.max_completions_per_turn; left > 0; --left) {
    std::optional<FilePool::Job> job = file_pool_->Take();
    if (!job.has_value()) return;
    job->request.call = nullptr;
    Guard([&] { job->done(job->result); });
  }
  Post([this] { DeliverFiles(); });
}

void EventLoop::KillAndReap(ChildWatchPtr watch) {
  CheckThread();
  children().Adopt(std::move(watch));
}

}  // namespace quintet
