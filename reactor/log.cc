#include "reactor/log.h"

#include <unistd.h>

#include <string>

namespace quintet {

void LogToStderr(LogLevel level, std::string_view message) {
  std::string line = "quintet: ";
  if (level == LogLevel::kWarning) line += "warning: ";
  if (level == LogLevel::kError) line += "error: ";
  line += message;
  line += '\n';
  // A log line that cannot be written has nowhere else to go.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace quintet
