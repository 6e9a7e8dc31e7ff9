// Listening sockets that were opened by whoever started the program: socket activation as
// sd_listen_fds(3) has it, without libsystemd. A predecessor hands over its own the same way; its
// half is net/socket_handover.h.
#ifndef QUINTET_NET_INHERITED_SOCKETS_H_
#define QUINTET_NET_INHERITED_SOCKETS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/socket.h"

namespace quintet {

// SD_LISTEN_FDS_START: inherited descriptors are this one and those that follow.
inline constexpr int kFirstInheritedDescriptor = 3;
// More than a server of a thousand workers that listens at sixteen addresses needs. A greater
// LISTEN_FDS is a mistake, not a number to count up to.
inline constexpr int kMaxInheritedSockets = 16384;
// FileDescriptorName= of systemd.socket(5).
inline constexpr size_t kMaxInheritedNameBytes = 255;

struct InheritedSocket {
  Socket socket;
  Address address;   // where it listens
  std::string name;  // from LISTEN_FDNAMES; empty where that is not set
};

// The sockets meant for this process, in the order of their descriptors, each close-on-exec,
// non-blocking and, on TCP, with TCP_NODELAY, which accepted sockets inherit. None where LISTEN_PID
// or LISTEN_FDS is not set, or LISTEN_PID is another process.
//
// The variables are removed in any case, so that children and a second call find none. Changes the
// environment: before there are threads; and before anything else opens descriptors, which could
// not be told from inherited ones.
//
// InvalidArgument: LISTEN_PID or LISTEN_FDS is not a number in range, LISTEN_FDNAMES has another
// count of names, or a descriptor is not open or not a listening stream socket of IPv4, IPv6 or
// Unix; it says which. No descriptor has been closed or changed then.
absl::StatusOr<std::vector<InheritedSocket>> TakeInheritedSockets();

// Whether a socket may be called so: at most kMaxInheritedNameBytes of printable ASCII, no colon.
bool IsInheritedSocketName(std::string_view name);

}  // namespace quintet

#endif  // QUINTET_NET_INHERITED_SOCKETS_H_
