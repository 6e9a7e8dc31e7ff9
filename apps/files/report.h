// Where the client says what it has to say.
#ifndef QUINTET_APPS_FILES_REPORT_H_
#define QUINTET_APPS_FILES_REPORT_H_

#include <string>

namespace quintet::files::app {

struct Report {
  bool quiet = false;  // no progress

  // One line on standard error, behind "files: ".
  static void Error(const std::string& text);
};

// All of `text` on standard output. False: it cannot be written.
bool Print(const std::string& text);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_REPORT_H_
