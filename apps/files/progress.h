// How far transfers are: a line that is drawn again and again on a terminal.
#ifndef QUINTET_APPS_FILES_PROGRESS_H_
#define QUINTET_APPS_FILES_PROGRESS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "reactor/clock.h"

namespace quintet::files::app {

// "0 B", "1023 B", "1.0 KiB", "12 MiB": at most three digits, or one behind the point.
std::string FormatBytes(uint64_t bytes);
// "0:07", "59:59", "27:46:40"; rounded up, so that it ends with 0:01. "-:--" where it is not known.
std::string FormatTimeLeft(double seconds);

// Bytes in a second, over the last moments: old rates fade, with a time constant of kMemory.
class RateMeter {
 public:
  static constexpr Duration kMemory = std::chrono::seconds(3);
  // `bytes` have been transferred in all, at `now`.
  void Update(uint64_t bytes, TimePoint now);
  // Zero before the second Update().
  double bytes_per_second() const { return rate_; }

 private:
  bool begun_ = false;
  bool measured_ = false;
  uint64_t bytes_ = 0;
  TimePoint time_;
  double rate_ = 0;
};

struct ProgressState {
  std::string_view name;  // printed with SafeText
  uint64_t bytes = 0;
  uint64_t total = 0;  // kUnknown: not known
  double bytes_per_second = 0;
};
// One line of at most `columns` columns, without its end: name, bar, share, bytes, rate, time left.
// What has no room is left out, the bar first, then the name.
std::string ProgressLine(const ProgressState& state, size_t columns);

// Draws on standard error, where that is a terminal, and else does nothing. At most kPeriod often.
class ProgressDisplay {
 public:
  static constexpr Duration kPeriod = std::chrono::milliseconds(100);
  // Never draws where `quiet`.
  explicit ProgressDisplay(bool quiet);
  // Takes the line away.
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  bool shown() const { return shown_; }
  void Update(std::string_view name, uint64_t bytes, uint64_t total, TimePoint now);
  // Takes the line away, so that something else can be printed; the next Update() draws it again.
  void Clear();

 private:
  const bool shown_;
  bool drawn_ = false;
  TimePoint next_ = kPollOnly;
  RateMeter rate_;
};

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_PROGRESS_H_
