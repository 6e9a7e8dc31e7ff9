#include "apps/program/standard_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "net/errno_status.h"
#include "net/unique_fd.h"

namespace quintet::program {
namespace {

constexpr char kNullDevice[] = "/dev/null";

// The call that has just failed.
absl::Status Failed(const std::string& call) {
  const int error = errno;
  return ErrnoStatus(error, call);
}

}  // namespace

absl::Status EnsureStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one: those below it are open by now. Opened the wrong way
    // round, as glibc does for set-user-ID programs, so that using it still fails.
    const int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (::open(kNullDevice, mode) < 0) return Failed(std::string("open ") + kNullDevice);
  }
  return absl::OkStatus();
}

absl::Status DetachStreams(StandardError standard_error) {
  const UniqueFd null(::open(kNullDevice, O_RDWR | O_CLOEXEC));
  if (!null.valid()) return Failed(std::string("open ") + kNullDevice);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fd == STDERR_FILENO && standard_error == StandardError::kKeep) continue;
    if (::dup2(null.get(), fd) < 0) return Failed("dup2 to descriptor " + std::to_string(fd));
  }
  return absl::OkStatus();
}

}  // namespace quintet::program
