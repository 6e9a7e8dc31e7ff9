#include "reactor/timer_table.h"

#include <utility>

#include "absl/cleanup/cleanup.h"

namespace quintet {
namespace {

// The first of `due` + k * `period`, k > 0, that is after `now`; `now` is not before `due`.
TimePoint NextDue(TimePoint due, Duration period, TimePoint now) {
  // Unsigned: from the least time point to the greatest is more than a Duration holds.
  const uint64_t behind = static_cast<uint64_t>(now.time_since_epoch().count()) -
                          static_cast<uint64_t>(due.time_since_epoch().count());
  const auto into_period =
      static_cast<Duration::rep>(behind % static_cast<uint64_t>(period.count()));
  return AddSaturated(now, period - Duration(into_period));
}

}  // namespace

TimerHandle TimerTable::Add(TimePoint when, Duration period, Task task) {
  if (first_free_ == kNone) {
    first_free_ = static_cast<uint32_t>(records_.size());
    records_.emplace_back(*this, first_free_);
    ++free_count_;
  }
  Record& record = records_[first_free_];
  first_free_ = record.next_free_;
  --free_count_;
  record.in_use_ = true;
  record.due_ = when;
  record.period_ = period;
  record.task_ = std::move(task);
  wheel_.Start(record, when);
  return {record.index_, record.generation_};
}

bool TimerTable::Cancel(TimerHandle handle) {
  if (handle.index >= records_.size()) return false;
  Record& record = records_[handle.index];
  if (!record.in_use_ || record.generation_ != handle.generation) return false;
  Release(record);
  return true;
}

void TimerTable::Clear() {
  while (size() > 0) {
    // By index: an Add() meanwhile may make another record.
    for (size_t i = 0; i < records_.size(); ++i) {
      if (records_[i].in_use_) Release(records_[i]);
    }
  }
}

Task TimerTable::Release(Record& record) {
  TimerWheel::Cancel(record);
  record.in_use_ = false;
  ++record.generation_;
  record.next_free_ = first_free_;
  first_free_ = record.index_;
  ++free_count_;
  return std::exchange(record.task_, nullptr);
}

void TimerTable::Fire(Record& record, TimePoint now) {
  if (record.period_ <= Duration::zero()) {
    Task task = Release(record);
    task();
    return;
  }
  // Armed again first, so that the task may cancel it like any other timer. The task runs from
  // here: cancelling must not destroy it under its own feet.
  record.due_ = NextDue(record.due_, record.period_, now);
  wheel_.Start(record, record.due_);
  Task task = std::exchange(record.task_, nullptr);
  const absl::Cleanup put_back = [&record, &task, generation = record.generation_] {
    if (record.generation_ == generation) record.task_ = std::move(task);
  };
  task();
}

}  // namespace quintet
