// Gives listening sockets to a program that is about to be executed, which finds them with
// TakeInheritedSockets() (net/inherited_sockets.h) or sd_listen_fds(3).
#ifndef QUINTET_NET_SOCKET_HANDOVER_H_
#define QUINTET_NET_SOCKET_HANDOVER_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace quintet {

// Made before fork(2), used in the child:
//
//   auto handover = SocketHandover::Create(descriptors, names, environment);
//   const pid_t child = fork();
//   if (child == 0) {
//     if (handover->Place() == 0) execve(path, arguments, handover->environment());
//     _exit(127);
//   }
//
// Everything that needs memory is done by Create(): Place() and environment() are
// async-signal-safe (signal-safety(7)), so the process that forks may have threads. After fork(2)
// only, not vfork(2), whose child shares this object with its parent. Move-only.
class SocketHandover {
 public:
  // `descriptors` in the order in which the program is to find them; the handover borrows them, and
  // they should be close-on-exec, lest the program get them twice. `names` are for LISTEN_FDNAMES:
  // none, or one for each descriptor. `environment` is that of the program, as "NAME=value"; its
  // LISTEN_ variables are replaced. InvalidArgument: too many descriptors, another count of names,
  // or a name that no inherited socket can have.
  static absl::StatusOr<SocketHandover> Create(std::span<const int> descriptors,
                                               std::span<const std::string> names,
                                               std::span<const std::string> environment);
  SocketHandover(SocketHandover&&) = default;
  SocketHandover& operator=(SocketHandover&&) = default;

  // In the child, once: puts the sockets at 3 and the numbers that follow, without close-on-exec,
  // and writes the child's process id into the environment. What else is open below end() is
  // closed; a descriptor that the child still needs, for example to report that execve(2) failed,
  // has to be at end() or above (fcntl(2), F_DUPFD_CLOEXEC). Returns 0 or -errno: -EMFILE where the
  // limit of descriptors leaves no room to exchange places, -EBADF for one that is not open.
  [[nodiscard]] int Place();

  // For execve(2), complete after Place(). Valid for as long as this object.
  char* const* environment() const { return pointers_.data(); }

  // The number after the last of the sockets; 3 where there are none.
  int end() const;

 private:
  SocketHandover() = default;

  std::vector<int> descriptors_;
  // The elements stay where they are when the vector is moved, and so do their texts.
  std::vector<std::string> entries_;
  std::vector<char*> pointers_;  // into entries_, then null
  char* pid_digits_ = nullptr;   // into entries_; none where there are no sockets
};

}  // namespace quintet

#endif  // QUINTET_NET_SOCKET_HANDOVER_H_
