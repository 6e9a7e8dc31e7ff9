// Standard error in a file that may be rotated.
#ifndef QUINTET_APPS_PROGRAM_LOG_FILE_H_
#define QUINTET_APPS_PROGRAM_LOG_FILE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/unique_fd.h"

namespace quintet::program {

// An open log file. In two steps, so that a reload can be refused before anything has changed:
//
//   absl::StatusOr<LogFile> file = LogFile::Open(path);
//   if (file.ok()) status = file->Redirect();
//
// To rotate, do both again after the file was renamed. The object is not needed after Redirect().
class LogFile {
 public:
  // Opens the file for appending and creates it with mode 0640, less the umask, where it is not
  // there. A named pipe that is full loses lines rather than stop the program, and one without a
  // reader is an error. Errors: the errno of open(2), with the path.
  static absl::StatusOr<LogFile> Open(const std::string& path);

  // Standard error goes there from now on, also that of other threads and of children started
  // later. Each line written with one write(2) lands in the old file or in the new one, whole.
  absl::Status Redirect() const;

 private:
  LogFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;
};

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_LOG_FILE_H_
