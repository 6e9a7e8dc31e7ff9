// Measures how long each turn of a loop is busy, and tells of those that were busy for too long.
#ifndef QUINTET_REACTOR_TURN_METER_H_
#define QUINTET_REACTOR_TURN_METER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "reactor/clock.h"
#include "reactor/log.h"
#include "reactor/loop_gauges.h"

namespace quintet {

// A turn is busy from the end of one wait to the beginning of the next, or, where nothing was done
// after the wait, from its first task. Reads the clock once for each turn in which something was
// done, and never for others. Loop's thread only, but for gauges().
class TurnMeter {
 public:
  // A loop that stalls at every turn is not to fill the log: one line in this time, which says how
  // many stalls it stands for.
  static constexpr Duration kLogPeriod = std::chrono::seconds(10);

  // `gauges` and `log` must outlive it; null: it keeps gauges of its own. `stall_threshold` as in
  // EventLoopOptions.
  TurnMeter(LoopGauges* gauges, Duration stall_threshold, const LogFunction& log);
  TurnMeter(const TurnMeter&) = delete;
  TurnMeter& operator=(const TurnMeter&) = delete;

  // The loop has waited, and looks at what came.
  void Woke(TimePoint now) { since_ = now; }
  // Tasks begin: of the same span where something was done since the wait.
  void BeginTasks(TimePoint now) {
    if (!worked_) since_ = now;
  }
  // So much was done.
  void Count(size_t done) { worked_ |= done > 0; }
  // The loop is about to wait, or returns to its caller.
  void End(Clock& clock) {
    if (worked_) Measure(clock.Now());
  }

  // Any thread.
  const LoopGauges& gauges() const { return gauges_; }

 private:
  void Measure(TimePoint now);
  void OnStall(TimePoint now, Duration busy);

  LoopGauges own_gauges_;
  LoopGauges& gauges_;
  const Duration stall_threshold_;  // the largest there is where nothing is to be a stall
  const LogFunction& log_;
  TimePoint since_;
  bool worked_ = false;
  TimePoint next_report_ = kPollOnly;  // at once
  uint64_t unreported_ = 0;            // stalls since the last line
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_TURN_METER_H_
