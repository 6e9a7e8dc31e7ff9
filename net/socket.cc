#include "net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/errno_status.h"

namespace quintet {
namespace {

using NameCall = int (*)(int, sockaddr*, socklen_t*);

absl::StatusOr<Address> AskName(NameCall call, const char* name, int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (call(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    const int error = errno;
    return ErrnoStatus(error, std::string(name) + " of descriptor " + std::to_string(fd));
  }
  return Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
}

}  // namespace

absl::StatusOr<Address> PeerAddressOf(int fd) { return AskName(::getpeername, "getpeername", fd); }

absl::StatusOr<Socket> Socket::CreateStream(const Address& address) {
  Socket result(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // errno is read before the text is made, which may change it.
  const int error = errno;
  if (!result.valid()) return ErrnoStatus(error, "socket for " + address.ToString());
  return result;
}

void Socket::Reset(int fd) {
  const int saved_errno = errno;
  // Linux frees the number whatever close(2) returns; another try could close a stranger's.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  errno = saved_errno;
}

absl::Status Socket::SetReuseAddress(bool on) {
  return SetFlag(SOL_SOCKET, SO_REUSEADDR, "set SO_REUSEADDR", on);
}

absl::Status Socket::SetReusePort(bool on) {
  return SetFlag(SOL_SOCKET, SO_REUSEPORT, "set SO_REUSEPORT", on);
}

absl::Status Socket::SetNoDelay(bool on) {
  return SetFlag(IPPROTO_TCP, TCP_NODELAY, "set TCP_NODELAY", on);
}

absl::Status Socket::SetV6Only(bool on) {
  return SetFlag(IPPROTO_IPV6, IPV6_V6ONLY, "set IPV6_V6ONLY", on);
}

absl::Status Socket::Bind(const Address& address) {
  if (::bind(fd_, address.data(), address.size()) != 0) {
    const int error = errno;
    return ErrnoStatus(error, "bind " + address.ToString());
  }
  return absl::OkStatus();
}

absl::Status Socket::Listen(int backlog) {
  if (::listen(fd_, backlog) != 0) {
    const int error = errno;
    return ErrnoStatus(error, Describe("listen"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Address> LocalAddressOf(int fd) { return AskName(::getsockname, "getsockname", fd); }

absl::StatusOr<Address> Socket::LocalAddress() const { return LocalAddressOf(fd_); }

absl::StatusOr<Address> Socket::PeerAddress() const { return PeerAddressOf(fd_); }

std::string Socket::Describe(const char* call) const {
  const absl::StatusOr<Address> local = LocalAddress();
  return std::string(call) + " " +
         (local.ok() ? local->ToString() : "descriptor " + std::to_string(fd_));
}

absl::Status Socket::SetFlag(int level, int option, const char* name, bool on) {
  const int value = on ? 1 : 0;
  if (::setsockopt(fd_, level, option, &value, sizeof(value)) != 0) {
    const int error = errno;
    return ErrnoStatus(error, Describe(name));
  }
  return absl::OkStatus();
}

}  // namespace quintet
