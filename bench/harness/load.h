// What the load generators of the benchmarks share.
#ifndef QUINTET_BENCH_HARNESS_LOAD_H_
#define QUINTET_BENCH_HARNESS_LOAD_H_

#include <errno.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quintet::bench {

using Clock = std::chrono::steady_clock;

// Ends the program with 1: what it measured would be wrong.
[[noreturn]] inline void Die(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, what.c_str());
  std::exit(1);
}
[[noreturn]] inline void DieErrno(const char* step) {
  Die(std::string(step) + ": " + std::strerror(errno));
}

inline Clock::duration Seconds(double seconds) {
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

// Bytes of the hello reply that stands at the beginning of `text`; 0 while it is not complete. Dies
// of any other reply.
inline size_t HelloReplyBytes(std::string_view text) {
  constexpr std::string_view kStatus = "HTTP/1.1 200 ";
  constexpr std::string_view kBody = "Hello, World!";
  const size_t head = text.find("\r\n\r\n");
  if (head == std::string_view::npos || text.size() < head + 4 + kBody.size()) return 0;
  if (!text.starts_with(kStatus)) Die("not a 200: " + std::string(text.substr(0, 40)));
  if (text.substr(head + 4, kBody.size()) != kBody) Die("a reply has the wrong body");
  return head + 4 + kBody.size();
}

// When the requests of the open model are due. Gaps are exponential, as of many independent users,
// from a fixed seed: every server gets the same schedule.
class DueTimes {
 public:
  // `rate` in requests per second.
  DueTimes(double rate, Clock::time_point start) : gap_seconds_(rate), start_(start) { Next(); }

  // Of the next request.
  Clock::time_point due() const { return start_ + Seconds(due_seconds_); }
  void Next() { due_seconds_ += gap_seconds_(random_); }

 private:
  std::mt19937_64 random_{1};
  std::exponential_distribution<double> gap_seconds_;
  const Clock::time_point start_;
  double due_seconds_ = 0;
};

// Requests due in this first part of a paced run warm up and are not counted.
inline constexpr double kWarmUpShare = 0.1;
// After the last due time; a server that still owes replies then did not keep up.
inline constexpr auto kGrace = std::chrono::seconds(2);

// Durations, whose quantiles are told by nearest rank in microseconds.
class Durations {
 public:
  void Reserve(size_t count) { values_.reserve(count); }
  void Add(Clock::duration value) {
    values_.push_back(std::chrono::nanoseconds(value).count());
    sorted_ = false;
  }
  bool empty() const { return values_.empty(); }
  size_t size() const { return values_.size(); }

  // 0 of nothing.
  double Quantile(double share) {
    if (values_.empty()) return 0;
    if (!std::exchange(sorted_, true)) std::sort(values_.begin(), values_.end());
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values_.size())));
    return static_cast<double>(values_[std::max<size_t>(rank, 1) - 1]) / 1000;
  }

 private:
  std::vector<int64_t> values_;
  bool sorted_ = true;
};

}  // namespace quintet::bench

#endif  // QUINTET_BENCH_HARNESS_LOAD_H_
