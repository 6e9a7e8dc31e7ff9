// Waiting times in the units that the wait system calls take.
#ifndef QUINTET_REACTOR_POLL_TIMEOUT_H_
#define QUINTET_REACTOR_POLL_TIMEOUT_H_

#include <time.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "reactor/clock.h"

namespace quintet {

// Milliseconds for poll(2) and epoll_wait(2), rounded up so that a deadline is never woken for
// early, and held at the largest int; -1 stands for "no limit".
constexpr int ToPollTimeout(Duration timeout) {
  if (timeout < Duration::zero()) return -1;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return static_cast<int>(std::min<int64_t>(ms, std::numeric_limits<int>::max()));
}

// For a timeout that is not negative.
constexpr timespec ToTimespec(Duration timeout) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
  return {.tv_sec = static_cast<time_t>(seconds.count()),
          .tv_nsec = static_cast<long>((timeout - seconds).count())};
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_POLL_TIMEOUT_H_
