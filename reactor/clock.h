// Monotonic time as the library measures it, and the interface through which time is passed in.
#ifndef QUINTET_REACTOR_CLOCK_H_
#define QUINTET_REACTOR_CLOCK_H_

#include <chrono>

namespace quintet {

// Nanoseconds in 64 bits reach 292 years: every deadline of this library fits.
using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// "Never": a wait without a deadline, a timer that is not armed.
inline constexpr TimePoint kNever = TimePoint::max();
// "At once": a wait that only polls.
inline constexpr TimePoint kPollOnly = TimePoint::min();

// `start + delay`, held at kNever where the sum does not fit; a negative delay counts as zero.
constexpr TimePoint AddSaturated(TimePoint start, Duration delay) {
  if (delay <= Duration::zero()) return start;
  if (start.time_since_epoch() > Duration::max() - delay) return kNever;
  return start + delay;
}

// Where an event loop reads the time. Real loops use SteadyClock; the simulator passes its own.
class Clock {
 public:
  virtual ~Clock() = default;

  // Never goes backwards. Called on the loop's thread only, a few times a turn.
  virtual TimePoint Now() = 0;
};

// CLOCK_MONOTONIC: not moved by settimeofday(2) nor NTP steps; stands still while suspended.
class SteadyClock final : public Clock {
 public:
  TimePoint Now() override { return std::chrono::steady_clock::now(); }
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_CLOCK_H_
