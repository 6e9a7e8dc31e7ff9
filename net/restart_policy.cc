#include "net/restart_policy.h"

#include <algorithm>

namespace quintet {

std::optional<Duration> RestartPolicy::OnDeath(std::optional<Duration> served) {
  failed_starts_ = served.has_value() ? 0 : failed_starts_ + 1;
  if (failed_starts_ >= kMaxFailedStarts) return std::nullopt;
  if (served.has_value() && *served >= kYoung) {
    young_deaths_ = 0;
    return Duration::zero();
  }
  // The first young death counts as an accident.
  const int doublings = young_deaths_++ - 1;
  if (doublings < 0) return Duration::zero();
  Duration pause = kFirstPause;
  for (int i = 0; i < doublings && pause < kLongestPause; ++i) pause += pause;
  return std::min(pause, kLongestPause);
}

}  // namespace quintet
