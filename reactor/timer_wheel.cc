#include "reactor/timer_wheel.h"

#include <bit>
#include <cstdio>
#include <cstdlib>

namespace quintet {
namespace {

// Maps the order of int64_t to that of uint64_t.
constexpr uint64_t kSignBit = uint64_t{1} << 63;
// The first tick behind the last representable time: that of kNever, and never reached.
constexpr uint64_t kNeverTick = uint64_t{1} << (64 - TimerWheel::kTickShift);

[[noreturn]] void Contradiction(const char* what) {
  std::fprintf(stderr, "quintet: timer wheel contradicts itself: %s\n", what);
  std::abort();
}

}  // namespace

Timer::~Timer() { TimerWheel::Cancel(*this); }

uint64_t TimerWheel::TickAtOrBefore(TimePoint time) {
  return (static_cast<uint64_t>(time.time_since_epoch().count()) ^ kSignBit) >> kTickShift;
}

uint64_t TimerWheel::TickAtOrAfter(TimePoint time) {
  const uint64_t ns = static_cast<uint64_t>(time.time_since_epoch().count()) ^ kSignBit;
  return ns == 0 ? 0 : ((ns - 1) >> kTickShift) + 1;
}

TimePoint TimerWheel::TimeOf(uint64_t tick) {
  if (tick >= kNeverTick) return kNever;
  return TimePoint(Duration(static_cast<int64_t>((tick << kTickShift) ^ kSignBit)));
}

void TimerWheel::PushBack(TimerLink& list, TimerLink& link) {
  link.prev_ = list.prev_;
  link.next_ = &list;
  list.prev_->next_ = &link;
  list.prev_ = &link;
}

void TimerWheel::SpliceBack(TimerLink& list, TimerLink& from) {
  if (Empty(from)) return;
  from.next_->prev_ = list.prev_;
  list.prev_->next_ = from.next_;
  from.prev_->next_ = &list;
  list.prev_ = from.prev_;
  Clear(from);
}

TimerWheel::TimerWheel(TimePoint now) : now_(now), current_tick_(TickAtOrBefore(now)) {
  Clear(due_);
  Clear(overdue_);
  for (auto& level : slots_) {
    for (TimerLink& slot : level) Clear(slot);
  }
}

TimerWheel::~TimerWheel() {
  SpliceBack(due_, overdue_);
  for (auto& level : slots_) {
    for (TimerLink& slot : level) SpliceBack(due_, slot);
  }
  while (!Empty(due_)) Unlink(*due_.next_);
}

void TimerWheel::Start(Timer& timer, TimePoint expiry) {
  Cancel(timer);
  timer.expiry_ = expiry;
  if (expiry > now_) {
    Place(timer, TickAtOrAfter(expiry));
  } else {
    PushBack(overdue_, timer);
  }
}

int TimerWheel::LevelOf(uint64_t tick) const {
  return (static_cast<int>(std::bit_width(tick ^ current_tick_)) - 1) / kSlotBits;
}

void TimerWheel::Place(Timer& timer, uint64_t tick) {
  const int level = LevelOf(tick);
  const int index = static_cast<int>(tick >> (level * kSlotBits)) & (kSlots - 1);
  PushBack(slots_[level][index], timer);
  occupied_[level] |= uint64_t{1} << index;
}

TimerWheel::Slot TimerWheel::EarliestSlot() {
  // Timers on a level agree with the current tick in all higher digits, and those of higher levels
  // do not: the lowest occupied level holds the earliest.
  for (int level = 0; level < kLevels; ++level) {
    while (occupied_[level] != 0) {
      const int index = std::countr_zero(occupied_[level]);
      if (!Empty(slots_[level][index])) {
        const int shift = level * kSlotBits;
        const uint64_t digits_above = current_tick_ >> (shift + kSlotBits) << kSlotBits;
        return {level, index, (digits_above | static_cast<uint64_t>(index)) << shift};
      }
      occupied_[level] &= occupied_[level] - 1;
    }
  }
  return {kLevels, 0, kNeverTick};
}

TimePoint TimerWheel::NextWakeup() {
  if (!Empty(due_) || !Empty(overdue_)) return TimeOf(current_tick_);
  const Slot slot = EarliestSlot();
  if (slot.level == kLevels) return kNever;
  // A timer alone in its slot is waited for in one go: a loop with few timers is not woken just to
  // move them down.
  const TimerLink& list = slots_[slot.level][slot.index];
  if (list.next_ == list.prev_) {
    return TimeOf(TickAtOrAfter(static_cast<const Timer*>(list.next_)->expiry_));
  }
  return TimeOf(slot.first_tick);
}

void TimerWheel::AdvanceTo(TimePoint now) {
  if (now <= now_) return;
  now_ = now;
  const uint64_t tick = TickAtOrBefore(now);
  for (Slot slot = EarliestSlot(); slot.first_tick <= tick; slot = EarliestSlot()) {
    current_tick_ = slot.first_tick;
    occupied_[slot.level] &= ~(uint64_t{1} << slot.index);
    TimerLink& list = slots_[slot.level][slot.index];
    if (slot.level == 0) {
      SpliceBack(due_, list);
      continue;
    }
    for (TimerLink* link = list.next_; link != &list;) {
      Timer& timer = static_cast<Timer&>(*link);
      link = link->next_;
      const uint64_t timer_tick = TickAtOrAfter(timer.expiry_);
      if (timer_tick > current_tick_) {
        Place(timer, timer_tick);
      } else {
        PushBack(due_, timer);
      }
    }
    Clear(list);
  }
  current_tick_ = tick;
}

size_t TimerWheel::FireExpired(TimePoint now, size_t limit) {
  SpliceBack(due_, overdue_);
  AdvanceTo(now);
  size_t fired = 0;
  while (fired < limit && !Empty(due_)) {
    Timer& timer = static_cast<Timer&>(*due_.next_);
    Unlink(timer);
    ++fired;
    timer.OnTimer(now);
  }
  return fired;
}

void TimerWheel::ValidateList(const TimerLink& list, int level, int index) const {
  for (const TimerLink* link = &list;;) {
    if (link->next_ == nullptr || link->prev_ == nullptr) Contradiction("a broken list");
    if (link->next_->prev_ != link) Contradiction("next and previous disagree");
    link = link->next_;
    if (link == &list) return;
    const TimePoint expiry = static_cast<const Timer*>(link)->expiry_;
    if (level == kLevels) {
      if (expiry > now_) Contradiction("a timer is due before its time");
      continue;
    }
    const uint64_t tick = TickAtOrAfter(expiry);
    if (tick <= current_tick_) Contradiction("an expired timer is not due");
    if (LevelOf(tick) != level) Contradiction("a timer on the wrong level");
    if (static_cast<int>(tick >> (level * kSlotBits) & (kSlots - 1)) != index) {
      Contradiction("a timer in the wrong slot");
    }
    if ((occupied_[level] >> index & 1) == 0) Contradiction("an occupied slot without its bit");
  }
}

void TimerWheel::Validate() const {
  if (current_tick_ != TickAtOrBefore(now_)) Contradiction("the tick is not that of the time");
  ValidateList(due_, kLevels, 0);
  ValidateList(overdue_, kLevels, 0);
  for (int level = 0; level < kLevels; ++level) {
    const int digit = static_cast<int>(current_tick_ >> (level * kSlotBits) & (kSlots - 1));
    if ((occupied_[level] & ((uint64_t{2} << digit) - 1)) != 0) {
      Contradiction("a bit of a slot that has passed");
    }
    for (int index = 0; index < kSlots; ++index) ValidateList(slots_[level][index], level, index);
  }
}

}  // namespace quintet
