#include "apps/program/daemon.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "net/errno_status.h"

namespace quintet::program {
namespace {

constexpr char kReady = 1;

absl::Status Failed(const char* call) {
  const int error = errno;
  return ErrnoStatus(error, call);
}

// In the process that was started: reads kReady, or the end of file that a dead daemon leaves.
[[noreturn]] void WaitForDaemon(int fd) {
  char byte = 0;
  ssize_t size = 0;
  do {
    size = ::recv(fd, &byte, 1, 0);
  } while (size < 0 && errno == EINTR);
  ::_exit(size == 1 && byte == kReady ? 0 : 1);
}

void CloseOthers(std::span<const int> keep) {
  int last = STDERR_FILENO;
  for (const int fd : keep) last = std::max(last, fd);
  for (int fd = STDERR_FILENO + 1; fd < last; ++fd) {
    if (std::find(keep.begin(), keep.end(), fd) == keep.end()) ::close(fd);
  }
  ::closefrom(last + 1);
}

}  // namespace

absl::Status DaemonParent::NotifyReady() {
  ssize_t sent = 0;
  do {
    sent = ::send(socket_.fd(), &kReady, 1, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  absl::Status status =
      sent == 1 ? absl::OkStatus() : Failed("notify the process that was started");
  socket_.Reset();
  return status;
}

absl::StatusOr<DaemonParent> Daemonize(std::span<const int> keep) {
  // A pair of sockets and no pipe: writing to a pipe without a reader raises SIGPIPE.
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Failed("socketpair");
  Socket waiting(ends[0]);
  Socket notifying(ends[1]);
  // What is still buffered would be written by each process.
  std::fflush(stdout);
  std::fflush(stderr);

  pid_t child = ::fork();
  if (child < 0) return Failed("fork");
  if (child > 0) {
    notifying.Reset();
    WaitForDaemon(waiting.fd());
  }
  waiting.Reset();
  // A new session has no terminal. Its leader could acquire one by opening it (credentials(7)); the
  // leader's child cannot.
  if (::setsid() < 0) return Failed("setsid");
  child = ::fork();
  if (child < 0) return Failed("fork");
  if (child > 0) ::_exit(0);

  std::vector<int> kept(keep.begin(), keep.end());
  kept.push_back(notifying.fd());
  CloseOthers(kept);
  return DaemonParent(std::move(notifying));
}

}  // namespace quintet::program
