// When a worker that died is started again.
#ifndef QUINTET_NET_RESTART_POLICY_H_
#define QUINTET_NET_RESTART_POLICY_H_

#include <chrono>
#include <optional>

#include "reactor/clock.h"

namespace quintet {

// At once, unless it dies young again and again: then after a pause that doubles each time. One
// that never becomes ready is given up in the end. One policy per worker. Knows no clock.
class RestartPolicy {
 public:
  // Who has served for so long is no longer young.
  static constexpr Duration kYoung = std::chrono::seconds(1);
  static constexpr Duration kFirstPause = std::chrono::milliseconds(50);
  static constexpr Duration kLongestPause = std::chrono::seconds(10);
  // Starts in a row that came to nothing: three seconds of trying. A reload tries anew.
  static constexpr int kMaxFailedStarts = 8;

  // It died after it had served for `served`; nullopt: before it was ready. Returns the pause
  // before the next start; nullopt, and again nullopt until one was ready: there is
  // to be none.
  std::optional<Duration> OnDeath(std::optional<Duration> served);

 private:
  int young_deaths_ = 0;   // in a row
  int failed_starts_ = 0;  // in a row
};

}  // namespace quintet

#endif  // QUINTET_NET_RESTART_POLICY_H_
