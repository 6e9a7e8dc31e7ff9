// The Date field, formatted once a second.
#ifndef QUINTET_NET_HTTP_DATE_CACHE_H_
#define QUINTET_NET_HTTP_DATE_CACHE_H_

#include <array>
#include <string_view>

#include "net/http/wall_clock.h"
#include "reactor/clock.h"

namespace quintet::http {

// One thread only; each shard has its own.
class DateCache {
 public:
  // `clock` outlives the cache.
  explicit DateCache(const WallClock& clock) : clock_(clock) {}

  // The whole field line in IMF-fixdate with its CRLF (RFC 9110 section 5.6.7), valid until the
  // next call. `now` is the monotonic time of this turn: it tells when the second is over without
  // asking for the time of day. A step of the wall clock shows after a second at the latest.
  std::string_view FieldLine(TimePoint now) {
    if (now >= expires_ || now < refreshed_) Refresh(now);
    return std::string_view(line_.data(), kLineBytes);
  }

 private:
  static constexpr size_t kLineBytes = 37;  // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

  void Refresh(TimePoint now);

  const WallClock& clock_;
  TimePoint refreshed_ = kNever;
  TimePoint expires_ = kPollOnly;
  std::array<char, kLineBytes + 1> line_{};
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_DATE_CACHE_H_
