// Virtual time: it moves when the simulator says so.
#ifndef QUINTET_REACTOR_SIM_SIM_CLOCK_H_
#define QUINTET_REACTOR_SIM_SIM_CLOCK_H_

#include <algorithm>
#include <chrono>

#include "reactor/clock.h"

namespace quintet {

class SimClock final : public Clock {
 public:
  TimePoint Now() override { return now_; }

  // Moves to `when`; does nothing if that has passed already.
  void AdvanceTo(TimePoint when) { now_ = std::max(now_, when); }

 private:
  // Not the epoch: a zero that leaks into a deadline should be in the past.
  TimePoint now_{std::chrono::hours(1)};
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_CLOCK_H_
