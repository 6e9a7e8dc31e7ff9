#include "apps/files/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/files/messages.h"
#include "net/files/path.h"

namespace quintet::files::app {
namespace {

constexpr size_t kBarColumns = 24;
// Below, a name says nothing.
constexpr size_t kMinNameColumns = 8;
constexpr double kMaxSeconds = 359'999;  // 99:59:59

size_t TerminalColumns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool Continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Code points; wide ones count as one, so a line of them may be too long, which looks bad and harms
// nothing.
size_t Columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !Continues(byte); }));
}

// The end of a name tells more than its beginning.
std::string Shortened(const std::string& text, size_t columns) {
  if (Columns(text) <= columns) return text;
  size_t from = text.size();
  for (size_t taken = 0; taken + 3 < columns; ++taken) {
    do --from;
    while (from > 0 && Continues(text[from]));
  }
  return "..." + text.substr(from);
}

std::string Bar(double share) {
  const auto full = static_cast<size_t>(share * static_cast<double>(kBarColumns));
  return " [" + std::string(full, '#') + std::string(kBarColumns - full, '.') + "]";
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double amount = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.5 would be printed as 1024.
  while (amount >= 1023.5 && unit + 1 < std::size(kUnits)) {
    amount /= 1024;
    ++unit;
  }
  return amount < 9.95 ? absl::StrFormat("%.1f %s", amount, kUnits[unit])
                       : absl::StrFormat("%.0f %s", amount, kUnits[unit]);
}

std::string FormatTimeLeft(double seconds) {
  if (!(seconds >= 0) || seconds > kMaxSeconds) return "-:--";
  const auto all = static_cast<int>(std::ceil(seconds));
  const int hours = all / 3600;
  const int minutes = all / 60 % 60;
  return hours > 0 ? absl::StrFormat("%d:%02d:%02d", hours, minutes, all % 60)
                   : absl::StrFormat("%d:%02d", minutes, all % 60);
}

void RateMeter::Update(uint64_t bytes, TimePoint now) {
  const double seconds = std::chrono::duration<double>(now - time_).count();
  if (!begun_ || bytes < bytes_) {
    begun_ = true;
    measured_ = false;
    rate_ = 0;
  } else if (seconds <= 0) {
    return;
  } else {
    const double rate = static_cast<double>(bytes - bytes_) / seconds;
    const double weight =
        measured_ ? 1 - std::exp(-seconds / std::chrono::duration<double>(kMemory).count()) : 1;
    rate_ += weight * (rate - rate_);
    measured_ = true;
  }
  bytes_ = bytes;
  time_ = now;
}

std::string ProgressLine(const ProgressState& state, size_t columns) {
  const bool known = state.total != kUnknown;
  const double share =
      !known || state.total == 0
          ? 1
          : std::min(1.0, static_cast<double>(state.bytes) / static_cast<double>(state.total));
  std::string figures;
  if (known) absl::StrAppendFormat(&figures, " %3d%%", static_cast<int>(share * 100));
  absl::StrAppendFormat(&figures, " %9s %10s/s", FormatBytes(state.bytes),
                        FormatBytes(static_cast<uint64_t>(state.bytes_per_second)));
  if (known) {
    const uint64_t left = state.total - std::min(state.total, state.bytes);
    const double seconds =
        state.bytes_per_second > 0 ? static_cast<double>(left) / state.bytes_per_second : -1;
    absl::StrAppendFormat(&figures, " %8s", FormatTimeLeft(left == 0 ? 0 : seconds));
  }
  const std::string bar = known ? Bar(share) : "";
  const std::string name = SafeText(state.name);
  if (columns >= kMinNameColumns + bar.size() + figures.size()) {
    const size_t room = columns - bar.size() - figures.size();
    return Shortened(name, room) + bar + figures;
  }
  if (columns >= kMinNameColumns + figures.size()) {
    return Shortened(name, columns - figures.size()) + figures;
  }
  return figures.substr(0, columns);
}

ProgressDisplay::ProgressDisplay(bool quiet) : shown_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

ProgressDisplay::~ProgressDisplay() { Clear(); }

void ProgressDisplay::Update(std::string_view name, uint64_t bytes, uint64_t total, TimePoint now) {
  if (!shown_ || now < next_) return;
  next_ = AddSaturated(now, kPeriod);
  rate_.Update(bytes, now);
  // One column is left free: some terminals begin a new line once the last is written.
  const std::string line = ProgressLine(
      {.name = name, .bytes = bytes, .total = total, .bytes_per_second = rate_.bytes_per_second()},
      TerminalColumns() - 1);
  const std::string drawn = "\r" + line + "\x1b[K";
  std::fwrite(drawn.data(), 1, drawn.size(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressDisplay::Clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
  next_ = kPollOnly;
}

}  // namespace quintet::files::app
