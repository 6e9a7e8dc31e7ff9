// The time of day, passed in where a reply needs it.
#ifndef QUINTET_NET_HTTP_WALL_CLOCK_H_
#define QUINTET_NET_HTTP_WALL_CLOCK_H_

#include <chrono>

namespace quintet::http {

// Shards call it at the same time, each about once a second.
class WallClock {
 public:
  virtual ~WallClock() = default;
  virtual std::chrono::system_clock::time_point Now() const = 0;
};

// CLOCK_REALTIME.
class SystemWallClock final : public WallClock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::now();
  }
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_WALL_CLOCK_H_
