// An owned socket descriptor, and the socket options this library uses.
#ifndef QUINTET_NET_SOCKET_H_
#define QUINTET_NET_SOCKET_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"

namespace quintet {

// getpeername(2) for a descriptor that somebody else owns. Any thread.
absl::StatusOr<Address> PeerAddressOf(int fd);
// getsockname(2), likewise.
absl::StatusOr<Address> LocalAddressOf(int fd);

// Owns one descriptor and closes it. Move-only; -1 when empty. Thread-compatible.
//
// An error says which call failed, for which address, and the errno by name, for example
// "bind 127.0.0.1:80: EACCES (Permission denied)"; nothing has changed then.
class Socket {
 public:
  Socket() = default;
  // Takes over an open descriptor, for example from accept4(2).
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { Reset(); }
  Socket(Socket&& other) noexcept : fd_(other.Release()) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }

  // A non-blocking, close-on-exec stream socket of the address's family.
  static absl::StatusOr<Socket> CreateStream(const Address& address);

  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Gives the descriptor away; the socket is empty then.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  // Closes the descriptor, if any, and takes over `fd`. Leaves errno as it was.
  void Reset(int fd = -1);

  absl::Status SetReuseAddress(bool on);  // SO_REUSEADDR: bind although connections linger
  absl::Status SetReusePort(bool on);     // SO_REUSEPORT (Linux 3.9), IP only
  absl::Status SetNoDelay(bool on);       // TCP_NODELAY, IP only; accepted sockets inherit it
  absl::Status SetV6Only(bool on);        // IPV6_V6ONLY, IPv6 only, before Bind()
  // AlreadyExists: the address is in use, or the file of a Unix address is there.
  absl::Status Bind(const Address& address);
  absl::Status Listen(int backlog);
  // getsockname(2), with the real port where port 0 was bound, and getpeername(2).
  absl::StatusOr<Address> LocalAddress() const;
  absl::StatusOr<Address> PeerAddress() const;

 private:
  // "`call` ADDRESS" with the address the socket is bound to, for errors.
  std::string Describe(const char* call) const;
  absl::Status SetFlag(int level, int option, const char* name, bool on);

  int fd_ = -1;
};

}  // namespace quintet

#endif  // QUINTET_NET_SOCKET_H_
