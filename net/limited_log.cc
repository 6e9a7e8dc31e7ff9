#include "net/limited_log.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace quintet {

void LimitedLog::Write(LogLevel level, absl::FunctionRef<std::string()> text) {
  if (!loop_.log()) return;
  const TimePoint now = loop_.now();
  if (now < quiet_until_) {
    ++left_out_;
    return;
  }
  quiet_until_ = AddSaturated(now, kInterval);
  std::string line = text();
  const uint64_t left_out = std::exchange(left_out_, 0);
  if (left_out > 0) absl::StrAppend(&line, " (", left_out, " more were not logged)");
  loop_.log()(level, line);
}

}  // namespace quintet
