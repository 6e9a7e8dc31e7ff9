// Holds a stream of bytes to a rate.
#ifndef QUINTET_NET_FILES_TOKEN_BUCKET_H_
#define QUINTET_NET_FILES_TOKEN_BUCKET_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "reactor/clock.h"

namespace quintet::files {

// Fills at the rate up to what kBurst brings. What is taken may be more than there is: who takes
// next waits for it.
class TokenBucket {
 public:
  static constexpr Duration kBurst = std::chrono::seconds(1);

  // 0: no limit. Full at first.
  explicit TokenBucket(uint64_t bytes_per_second)
      : rate_(static_cast<double>(bytes_per_second)), tokens_(rate_) {}

  bool limited() const { return rate_ > 0; }

  // Whether somebody may take.
  bool Open(TimePoint now) {
    if (!limited()) return true;
    Fill(now);
    return tokens_ >= 0;
  }
  void Take(TimePoint now, uint64_t bytes) {
    if (!limited()) return;
    Fill(now);
    tokens_ -= static_cast<double>(bytes);
  }
  // When Open() will hold; in the past where it does.
  TimePoint OpensAt() const {
    if (tokens_ >= 0) return filled_;
    const double seconds = -tokens_ / rate_;
    // One nanosecond more, because the quotient is rounded.
    if (seconds > kFarSeconds) return kNever;
    return AddSaturated(filled_, Duration(static_cast<int64_t>(seconds * 1e9) + 1));
  }

 private:
  static constexpr double kFarSeconds = 1e9;

  void Fill(TimePoint now) {
    if (filled_ == kPollOnly) filled_ = now;
    const double seconds = std::chrono::duration<double>(now - filled_).count();
    const double burst = rate_ * std::chrono::duration<double>(kBurst).count();
    tokens_ = std::min(burst, tokens_ + seconds * rate_);
    filled_ = now;
  }

  double rate_;    // bytes per second
  double tokens_;  // bytes
  TimePoint filled_ = kPollOnly;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_TOKEN_BUCKET_H_
