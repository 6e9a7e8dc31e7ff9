// Where to listen and where to connect: IPv4, IPv6 and Unix socket addresses.
#ifndef QUINTET_NET_ADDRESS_H_
#define QUINTET_NET_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace quintet {

// A value: copyable, comparable, hashable by its text. Holds numeric addresses only; names are not
// resolved (resolution blocks).
class Address {
 public:
  // "127.0.0.1:8080", "[::1]:8080", "[fe80::1%eth0]:80", "unix:/run/app.sock", "unix:@name"
  // (abstract, unix(7)). Port 0 to 65535, decimal. A scope id, by name or number, goes with
  // link-local addresses only. A relative path that begins with @ is written "unix:./@name".
  // InvalidArgument quotes the text and names what is wrong with it.
  static absl::StatusOr<Address> Parse(std::string_view text);
  // From what the kernel wrote, as by accept4(2) and getsockname(2). Fields that are no part of the
  // address (sin_zero, the flow label) are dropped, so that equal addresses compare equal.
  // InvalidArgument: another family, or too short or too long for its family.
  static absl::StatusOr<Address> FromSockaddr(const sockaddr* address, socklen_t length);

  // What Parse() reads: Parse(x.ToString()) == x. The exceptions come from the kernel only: a Unix
  // path that begins with @ gets "./" in front, which names the same file; and Parse() does not
  // read the unnamed Unix address of a client, "unix:", the abstract one with an empty name,
  // "unix:@", nor a path that fills its field to the last byte.
  std::string ToString() const;

  int family() const { return storage_.ss_family; }  // AF_INET, AF_INET6 or AF_UNIX
  bool is_unix() const { return family() == AF_UNIX; }
  uint16_t port() const;  // 0 for Unix addresses
  // The same address with another port; a Unix address stays as it is.
  Address WithPort(uint16_t port) const;
  // The file of a Unix address; empty for abstract and unnamed ones, and for IP. Valid for as long
  // as this object.
  std::string_view unix_path() const;

  // For bind(2) and connect(2).
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return length_; }

  friend bool operator==(const Address& a, const Address& b);

 private:
  Address() = default;

  static absl::StatusOr<Address> ParseUnix(std::string_view text, std::string_view name);
  static absl::StatusOr<Address> ParseIpv4(std::string_view text, std::string_view host,
                                           uint16_t port);
  static absl::StatusOr<Address> ParseIpv6(std::string_view text, std::string_view host,
                                           uint16_t port);

  // The path or name field of a Unix address as far as its length reaches; abstract names with
  // their leading NUL.
  std::string_view unix_bytes() const;

  // Zero beyond the address itself, which makes it comparable by its bytes.
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_NET_ADDRESS_H_
