#include "reactor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "reactor/errno_text.h"

namespace quintet {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
      return absl::StatusCode::kPermissionDenied;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case E2BIG:
    case EINVAL:
    case ENAMETOOLONG:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

absl::Status Error(int error, std::string_view what, const std::string& name) {
  return absl::Status(CodeOf(error),
                      absl::StrCat(std::string(what), " ", name, ": ", ErrnoText(error)));
}

// Above the standard streams. The number itself where it is there already.
int MoveUp(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int error = errno;
  ::close(fd);
  errno = error;
  return moved;
}

// For execve(2). A byte 0 would end a string early, and hide what follows it.
absl::StatusOr<std::vector<char*>> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    if (text.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("a byte 0 in an argument or in the environment");
    }
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// What happens in the child before execve(2), but for signals and group.
int AddActions(posix_spawn_file_actions_t& actions, int directory, const ChildStreams& streams) {
  // First: the descriptor is closed below.
  if (directory >= 0) {
    const int error = ::posix_spawn_file_actions_addfchdir_np(&actions, directory);
    if (error != 0) return error;
  }
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    const int fd = streams.fds.at(static_cast<size_t>(stream));
    if (fd < 0) continue;
    const int error = ::posix_spawn_file_actions_adddup2(&actions, fd, stream);
    if (error != 0) return error;
  }
  // glibc 2.34. Also those that somebody has opened without O_CLOEXEC.
  return ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
}

int SetAttributes(posix_spawnattr_t& attributes) {
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  int error = ::posix_spawnattr_setsigmask(&attributes, &none);
  if (error == 0) error = ::posix_spawnattr_setsigdefault(&attributes, &all);
  if (error == 0) error = ::posix_spawnattr_setpgroup(&attributes, 0);
  if (error == 0) {
    error = ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  return error;
}

}  // namespace

void ChildStreams::Close() {
  for (int& fd : fds) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
}

absl::StatusOr<ChildPipe> MakeChildPipe(bool child_reads) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error(errno, "a pipe to", "a process");
  ends[0] = MoveUp(ends[0]);
  ends[1] = MoveUp(ends[1]);
  const ChildPipe made = {.ours = child_reads ? ends[1] : ends[0],
                          .theirs = child_reads ? ends[0] : ends[1]};
  if (made.ours < 0 || made.theirs < 0 || ::fcntl(made.ours, F_SETFL, O_NONBLOCK) != 0) {
    const int error = errno;
    if (made.ours >= 0) ::close(made.ours);
    if (made.theirs >= 0) ::close(made.theirs);
    return Error(error, "a pipe to", "a process");
  }
  return made;
}

absl::StatusOr<int> OpenNull() {
  const int fd = MoveUp(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (fd < 0) return Error(errno, "opening", "/dev/null");
  return fd;
}

absl::StatusOr<pid_t> SpawnProgram(const ProcessOptions& options, const ChildStreams& streams) {
  if (options.program.find('\0') != std::string::npos ||
      options.working_directory.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("a byte 0 in the name of a program or directory");
  }
  auto arguments = Pointers(options.arguments);
  if (!arguments.ok()) return arguments.status();
  char* const* environment = environ;
  absl::StatusOr<std::vector<char*>> own_environment;
  if (options.environment.has_value()) {
    own_environment = Pointers(*options.environment);
    if (!own_environment.ok()) return own_environment.status();
    environment = own_environment->data();
  }

  // Opened here and not in the child, so that its error is told from that of the program.
  int directory = options.working_directory_fd;
  int opened = -1;
  const absl::Cleanup close_opened = [&opened] {
    if (opened >= 0) ::close(opened);
  };
  if (directory < 0 && !options.working_directory.empty()) {
    opened = MoveUp(::open(options.working_directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (opened < 0) return Error(errno, "the working directory", options.working_directory);
    directory = opened;
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (const int error = ::posix_spawn_file_actions_init(&actions); error != 0) {
    return Error(error, "starting", options.program);
  }
  const absl::Cleanup destroy_actions = [&] { ::posix_spawn_file_actions_destroy(&actions); };
  if (const int error = ::posix_spawnattr_init(&attributes); error != 0) {
    return Error(error, "starting", options.program);
  }
  const absl::Cleanup destroy_attributes = [&] { ::posix_spawnattr_destroy(&attributes); };

  int error = AddActions(actions, directory, streams);
  if (error == 0) error = SetAttributes(attributes);
  pid_t pid = -1;
  // CLONE_VFORK in glibc: no copy of the page tables of a large server, and the error of execve(2)
  // is the result.
  if (error == 0) {
    error = ::posix_spawn(&pid, options.program.c_str(), &actions, &attributes, arguments->data(),
                          environment);
  }
  if (error != 0) return Error(error, "starting", options.program);
  return pid;
}

}  // namespace quintet
