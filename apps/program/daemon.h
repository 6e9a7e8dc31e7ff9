// Leaves the terminal and goes on in the background, once the program is ready.
#ifndef QUINTET_APPS_PROGRAM_DAEMON_H_
#define QUINTET_APPS_PROGRAM_DAEMON_H_

#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/socket.h"

namespace quintet::program {

// The process that the user started, as the daemon sees it: it waits for NotifyReady(). Move-only.
// Destroyed without it, also by the daemon's death, it lets that process end with 1.
class DaemonParent {
 public:
  // From Daemonize().
  explicit DaemonParent(Socket socket) : socket_(std::move(socket)) {}

  // Lets the process that was started end with 0. Once. An error (EPIPE) says that it has ended
  // already, for example by Ctrl-C; the daemon may go on all the same.
  absl::Status NotifyReady();

 private:
  Socket socket_;
};

// Goes on in a process without a terminal, as daemon(7) has it for SysV daemons: fork(2),
// setsid(2), fork(2). Returns in that process only; the one that called it ends inside, without
// destructors and exit handlers: with 0 at NotifyReady(), with 1 when the daemon ends before. So
// whoever started the program learns from its exit code whether it serves. Until then standard
// error is still the terminal's: NotifyReady() comes after the last message meant for it, and
// DetachStreams() (standard_streams.h) after that.
//
// Every descriptor above 2 is closed but those in `keep`. To be called early: before threads, and
// before any loop, lock or log file. What goes by process id belongs after it (PidFile) or before
// it (TakeInheritedSockets(), whose sockets are then in `keep`).
//
// Errors: the errno of socketpair(2), fork(2) or setsid(2). The caller prints it and exits with 1,
// in whichever of the processes it came back.
//
// Two steps of daemon(7) are left out. The working directory stays: relative paths of the command
// line and of a configuration file that is read again later go on meaning what they meant. (It
// keeps a file system from being unmounted; start the program in / where that matters.) And the
// umask stays: with 0 any user could connect to the Unix sockets of a daemon.
absl::StatusOr<DaemonParent> Daemonize(std::span<const int> keep = {});

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_DAEMON_H_
