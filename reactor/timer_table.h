// Timers that call a function, for those who do not embed a Timer of their own.
#ifndef QUINTET_REACTOR_TIMER_TABLE_H_
#define QUINTET_REACTOR_TIMER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "reactor/clock.h"
#include "reactor/task_queue.h"
#include "reactor/timer_wheel.h"

namespace quintet {

// A timer started with RunAt, RunAfter or RunEvery of EventLoop. Copyable; a stale one (fired,
// cancelled) is harmless.
struct TimerHandle {
  uint32_t index = UINT32_MAX;
  uint32_t generation = 0;
};

// The records behind the handles: as many as were ever armed at once, reused without allocation.
// Loop's thread only.
class TimerTable {
 public:
  // `wheel` must outlive the table.
  explicit TimerTable(TimerWheel& wheel) : wheel_(wheel) {}
  ~TimerTable() { Clear(); }
  TimerTable(const TimerTable&) = delete;
  TimerTable& operator=(const TimerTable&) = delete;

  // Runs `task` once at `when`, or, with a period above zero, again and again until cancelled: at
  // the first of `when` + k * `period` that is still to come. Missed periods are skipped, so
  // neither a long callback nor a clock that jumps causes a burst. A task that throws stays armed
  // if it is periodic.
  TimerHandle Add(TimePoint when, Duration period, Task task);

  // True when the timer was armed. From inside its own callback: stops a periodic one, false for
  // another, which is over. The task is destroyed before Cancel() returns, or, from inside its own
  // callback, once that has returned.
  bool Cancel(TimerHandle handle);

  // Cancels all, also what the destructors of their tasks add meanwhile.
  void Clear();

  // How many are armed.
  size_t size() const { return records_.size() - free_count_; }

 private:
  class Record final : public Timer {
   public:
    Record(TimerTable& table, uint32_t index) : table_(table), index_(index) {}

   private:
    friend class TimerTable;
    void OnTimer(TimePoint now) override { table_.Fire(*this, now); }

    TimerTable& table_;
    uint32_t index_;
    uint32_t generation_ = 0;  // how often the record was reused
    uint32_t next_free_ = kNone;
    bool in_use_ = false;
    TimePoint due_;
    Duration period_;
    Task task_;
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  void Fire(Record& record, TimePoint now);
  // Disarms the record, makes all handles of it stale, and hands out its task: that is user's code
  // to destroy, which may call this table, so it goes after everything else.
  Task Release(Record& record);

  TimerWheel& wheel_;
  std::deque<Record> records_;  // a deque, because armed timers do not move
  uint32_t first_free_ = kNone;
  size_t free_count_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_TIMER_TABLE_H_
