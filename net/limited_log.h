// Log lines about what peers can bring about as often as they like.
#ifndef QUINTET_NET_LIMITED_LOG_H_
#define QUINTET_NET_LIMITED_LOG_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "reactor/event_loop.h"
#include "reactor/log.h"

namespace quintet {

// Writes one line in each interval to the log of its loop and counts those between, of which the
// next one tells. Loop's thread only; the loop must outlive the last call.
class LimitedLog {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(1);

  explicit LimitedLog(EventLoop& loop) : loop_(loop) {}

  // `text` is called only for a line that is written.
  void Write(LogLevel level, absl::FunctionRef<std::string()> text);

 private:
  EventLoop& loop_;
  TimePoint quiet_until_ = kPollOnly;
  uint64_t left_out_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_NET_LIMITED_LOG_H_
