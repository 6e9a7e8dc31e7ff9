#include "net/cgi/error_log.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace quintet::cgi {

ErrorLog::~ErrorLog() {
  if (!line_.empty()) WriteLine();
  if (dropped_bytes_ > 0 && log_) {
    log_(LogLevel::kWarning, absl::StrCat(prefix_, dropped_bytes_, " bytes more, left out"));
  }
}

void ErrorLog::Add(std::string_view bytes) {
  const size_t room = std::min(bytes.size(), kMaxBytes - taken_bytes_);
  taken_bytes_ += room;
  dropped_bytes_ += bytes.size() - room;
  bytes = bytes.substr(0, room);
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\n'), kMaxLineBytes - line_.size());
    line_.append(bytes.substr(0, end));
    if (end >= bytes.size()) return;
    WriteLine();
    bytes.remove_prefix(bytes[end] == '\n' ? end + 1 : end);
  }
}

void ErrorLog::WriteLine() {
  if (log_) log_(LogLevel::kWarning, absl::StrCat(prefix_, absl::Utf8SafeCEscape(line_)));
  line_.clear();
}

}  // namespace quintet::cgi
