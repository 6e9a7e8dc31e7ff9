#include "reactor/turn_meter.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace quintet {
namespace {

// Microseconds are as fine as anyone wants to know.
std::string Milliseconds(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration);
  return absl::StrCat(static_cast<double>(us.count()) / 1000.0, " ms");
}

}  // namespace

TurnMeter::TurnMeter(LoopGauges* gauges, Duration stall_threshold, const LogFunction& log)
    : gauges_(gauges != nullptr ? *gauges : own_gauges_),
      stall_threshold_(stall_threshold > Duration::zero() ? stall_threshold : Duration::max()),
      log_(log) {}

void TurnMeter::Measure(TimePoint now) {
  worked_ = false;
  const Duration busy = now - since_;
  if (gauges_.Record(busy, stall_threshold_)) OnStall(now, busy);
}

void TurnMeter::OnStall(TimePoint now, Duration busy) {
  ++unreported_;
  if (now < next_report_) return;
  next_report_ = AddSaturated(now, kLogPeriod);
  const uint64_t others = unreported_ - 1;
  unreported_ = 0;
  if (!log_) return;
  std::string line = absl::StrCat("stall: the loop was busy for ", Milliseconds(busy),
                                  " and saw no event meanwhile; the threshold is ",
                                  Milliseconds(stall_threshold_));
  if (others > 0) absl::StrAppend(&line, "; ", others, " more since the last report");
  log_(LogLevel::kWarning, line);
}

}  // namespace quintet
