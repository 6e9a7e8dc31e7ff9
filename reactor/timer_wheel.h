// Timers that cost the same with ten of them as with a million.
//
// A hierarchical timing wheel (Varghese and Lauck, SOSP 1987) of kLevels levels of 64 slots. Time
// is counted in ticks, written in digits of 6 bits; a timer stands on the level of the highest
// digit in which its tick and the current one differ, in the slot of its own digit there:
//
//              level 2   level 1   level 0
//     current       17        03        60
//     timer A       17        03        62     level 0, slot 62
//     timer B       17        05        01     level 1, slot 5
//
// When the current tick reaches a slot's first tick, the slot's timers are due (level 0) or move to
// lower levels, at most kLevels - 1 times in all. Start and Cancel are a list insertion and
// removal. A bitmap per level tells the next occupied slot without a search, so a jump of the clock
// costs the same as a tick. All timers that wait for one tick are in the same list at any moment,
// which is what keeps them in the order of their starting.
#ifndef QUINTET_REACTOR_TIMER_WHEEL_H_
#define QUINTET_REACTOR_TIMER_WHEEL_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "reactor/clock.h"

namespace quintet {

// A place in a circular list of timers; both pointers are null in a timer that is not armed.
class TimerLink {
 private:
  friend class Timer;
  friend class TimerWheel;
  TimerLink* prev_ = nullptr;
  TimerLink* next_ = nullptr;
};

// One timer, embedded in whatever it guards; starting and cancelling allocate nothing. A destroyed
// timer is cancelled. Loop's thread only.
class Timer : private TimerLink {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return next_ != nullptr; }
  // The time that was given to TimerWheel::Start(); kNever while not armed.
  TimePoint expiry() const { return armed() ? expiry_ : kNever; }

 protected:
  virtual ~Timer();

  // The deadline has passed; the timer is no longer armed and may be started again, or destroyed,
  // from here. `now` is the loop's time of this turn.
  virtual void OnTimer(TimePoint now) = 0;

 private:
  friend class TimerWheel;
  TimePoint expiry_ = kNever;
};
static_assert(sizeof(Timer) == 4 * sizeof(void*), "two timers to a cache line");

// The armed timers of one loop. Not thread-safe.
class TimerWheel {
 public:
  // The resolution: a timer fires at the first tick that is not before its expiry, never early.
  static constexpr int kTickShift = 20;  // 2^20 ns, 1.05 ms: finer ticks only wake the loop more
  static constexpr Duration kTick{int64_t{1} << kTickShift};

  explicit TimerWheel(TimePoint now);
  ~TimerWheel();  // disarms what is left, without calling it
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms `timer` to fire at `expiry`, also in place of an earlier expiry. Timers of the same tick
  // fire in the order of their starting, those of an earlier tick before them. A time not after
  // that of the last FireExpired() waits for no tick: it fires in the next call, behind what is due
  // already. A timer started for kNever is armed and does not fire.
  void Start(Timer& timer, TimePoint expiry);
  // Does nothing to a timer that is not armed.
  static void Cancel(Timer& timer) {
    if (timer.armed()) Unlink(timer);
  }

  // A time not after the next expiry and at which FireExpired() is worth calling (it may only move
  // timers to lower levels then); kNever when nothing will fire.
  TimePoint NextWakeup();

  // Fires what has expired at `now`, at most `limit` timers; returns how many fired. What is left
  // over is due at once (NextWakeup() is not after `now`). Timers started from inside OnTimer()
  // fire in a later call at the earliest, so a timer that restarts itself cannot hold the loop.
  // What OnTimer() throws passes through, after that timer and before the rest, which stays due.
  size_t FireExpired(TimePoint now, size_t limit);

  // Ends the process with a message when the structure contradicts itself.
  void Validate() const;

 private:
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;  // one word of bitmap
  static constexpr int kLevels = 8;              // 48 bits; ticks need 64 - kTickShift and a carry

  // Ticks since TimePoint::min(), so that they are never negative.
  static uint64_t TickAtOrBefore(TimePoint time);
  static uint64_t TickAtOrAfter(TimePoint time);
  static TimePoint TimeOf(uint64_t tick);

  static bool Empty(const TimerLink& list) { return list.next_ == &list; }
  static void Clear(TimerLink& list) { list.prev_ = list.next_ = &list; }
  static void PushBack(TimerLink& list, TimerLink& link);
  static void SpliceBack(TimerLink& list, TimerLink& from);
  static void Unlink(TimerLink& link) {
    link.prev_->next_ = link.next_;
    link.next_->prev_ = link.prev_;
    link.prev_ = link.next_ = nullptr;
  }

  // The occupied slot whose first tick is the earliest.
  struct Slot {
    int level;  // kLevels when there is none
    int index;
    uint64_t first_tick;
  };
  Slot EarliestSlot();

  // Both for a `tick` after current_tick_.
  int LevelOf(uint64_t tick) const;
  void Place(Timer& timer, uint64_t tick);
  void AdvanceTo(TimePoint now);
  void ValidateList(const TimerLink& list, int level, int index) const;

  TimePoint now_;  // of the last FireExpired()
  // The tick at or before it. Everything up to and including this tick has been moved to `due_`.
  uint64_t current_tick_;
  // Bit s of word l: slot s of level l may hold timers. Cancel() knows no wheel and leaves the bit
  // of a slot it emptied set; EarliestSlot() clears it when it comes across. No bit is set at or
  // below the digit of current_tick_.
  std::array<uint64_t, kLevels> occupied_{};
  TimerLink due_;      // expired, in the order of firing; what the limit left over stays here
  TimerLink overdue_;  // started for a time not after now_: due from the next FireExpired() on
  std::array<std::array<TimerLink, kSlots>, kLevels> slots_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_TIMER_WHEEL_H_
