#include "tests/support/load_report.h"

#include <string.h>

#include "absl/strings/str_cat.h"

namespace quintet::testing {

uint64_t LoadReport::failed_connects_of_any_kind() const {
  uint64_t sum = 0;
  for (const auto& [error, count] : failed_connects) sum += count;
  return sum;
}

uint64_t LoadReport::failures() const {
  return failed_connects_of_any_kind() + resets + idle_resets + closed_under_request + truncated +
         bad_replies + timeouts;
}

std::string LoadReport::ToString() const {
  std::string text = absl::StrCat(
      "answered ", answered, " of ", requests, "; connects ", connects, "; clean closes ",
      clean_closes, "; resets ", resets, "; idle resets ", idle_resets, "; closed under a request ",
      closed_under_request, "; truncated ", truncated, "; bad replies ", bad_replies, "; timeouts ",
      timeouts, "; failed connects ", failed_connects_of_any_kind());
  for (const auto& [error, count] : failed_connects) {
    absl::StrAppend(&text, " ", ::strerrorname_np(error), "=", count);
  }
  return text;
}

}  // namespace quintet::testing
