#include "apps/files/report.h"

#include <cstdio>

namespace quintet::files::app {

void Report::Error(const std::string& text) {
  const std::string line = "files: " + text + "\n";
  std::fputs(line.c_str(), stderr);
}

bool Print(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

}  // namespace quintet::files::app
