#include "apps/program/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "net/errno_status.h"

namespace quintet::program {
namespace {

absl::Status Failed(const std::string& path, int error) {
  return ErrnoStatus(error, "log file " + path);
}

}  // namespace

absl::StatusOr<LogFile> LogFile::Open(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  UniqueFd fd(::open(path.c_str(), kFlags, 0640));
  if (!fd.valid()) {
    const int error = errno;
    return Failed(path, error);
  }
  return LogFile(path, std::move(fd));
}

absl::Status LogFile::Redirect() const {
  if (::dup2(fd_.get(), STDERR_FILENO) < 0) {
    const int error = errno;
    return Failed(path_, error);
  }
  return absl::OkStatus();
}

}  // namespace quintet::program
