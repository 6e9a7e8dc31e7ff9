#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"

namespace quintet {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr size_t kUnixHeader = offsetof(sockaddr_un, sun_path);
// A path keeps its terminating NUL, an abstract name has a leading one: both leave one byte less.
constexpr size_t kMaxUnixName = sizeof(sockaddr_un::sun_path) - 1;
// For a path that fills sun_path the kernel returns the length with a NUL beyond the structure
// (unix(7), "BUGS").
constexpr size_t kMaxUnixLength = sizeof(sockaddr_un) + 1;
static_assert(kMaxUnixLength <= sizeof(sockaddr_storage));

absl::Status Malformed(std::string_view text, std::string_view what) {
  return absl::InvalidArgumentError("address \"" + std::string(text) + "\": " + std::string(what));
}

// The whole of `text` as a decimal number of at most `max`.
std::optional<uint32_t> ParseDecimal(std::string_view text, uint32_t max) {
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end || value > max) return std::nullopt;
  return value;
}

absl::StatusOr<uint16_t> ParsePort(std::string_view text, std::string_view port) {
  if (port.empty()) return Malformed(text, "the port after the colon is missing");
  const std::optional<uint32_t> value = ParseDecimal(port, UINT16_MAX);
  if (!value) {
    return Malformed(text, "\"" + std::string(port) + "\" is not a port from 0 to 65535");
  }
  return static_cast<uint16_t>(*value);
}

// The index of an interface given by name or number; 0 where there is none.
uint32_t InterfaceIndex(const std::string& scope) {
  if (const uint32_t index = if_nametoindex(scope.c_str()); index != 0) return index;
  return ParseDecimal(scope, UINT32_MAX).value_or(0);
}

// The kernel looks at scope ids of these only and forgets the others (ipv6(7)).
bool HasScope(const in6_addr& address) {
  return IN6_IS_ADDR_LINKLOCAL(&address) || IN6_IS_ADDR_MC_LINKLOCAL(&address);
}

std::string ScopeName(uint32_t index) {
  char name[IF_NAMESIZE];
  return if_indextoname(index, name) != nullptr ? std::string(name) : std::to_string(index);
}

}  // namespace

absl::StatusOr<Address> Address::Parse(std::string_view text) {
  if (text.empty()) return Malformed(text, "is empty");
  if (text.starts_with(kUnixPrefix)) return ParseUnix(text, text.substr(kUnixPrefix.size()));

  if (text.front() == '[') {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return Malformed(text, "the closing ] is missing");
    if (bracket + 1 == text.size()) {
      return Malformed(text, "the port is missing, as in " + std::string(text) + ":8080");
    }
    if (text[bracket + 1] != ':') return Malformed(text, "after ] comes a colon and the port");
    const absl::StatusOr<uint16_t> port = ParsePort(text, text.substr(bracket + 2));
    if (!port.ok()) return port.status();
    return ParseIpv6(text, text.substr(1, bracket - 1), *port);
  }

  if (std::count(text.begin(), text.end(), ':') > 1) {
    return Malformed(text, "an IPv6 address stands in brackets, as in [::1]:8080");
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return Malformed(text, "the port is missing, as in 127.0.0.1:8080");
  }
  const absl::StatusOr<uint16_t> port = ParsePort(text, text.substr(colon + 1));
  if (!port.ok()) return port.status();
  return ParseIpv4(text, text.substr(0, colon), *port);
}

absl::StatusOr<Address> Address::ParseUnix(std::string_view text, std::string_view name) {
  if (name.empty()) return Malformed(text, "the path after unix: is missing");
  const bool abstract = name.front() == '@';
  if (abstract) {
    name.remove_prefix(1);
    if (name.empty()) return Malformed(text, "the name after unix:@ is missing");
  } else if (name.find('\0') != std::string_view::npos) {
    return Malformed(text, "a path cannot contain a NUL byte");
  }
  if (name.size() > kMaxUnixName) {
    return Malformed(text, "the " + std::string(abstract ? "name" : "path") + " has " +
                               std::to_string(name.size()) + " bytes, more than the " +
                               std::to_string(kMaxUnixName) + " of a Unix address");
  }

  Address result;
  auto* address = reinterpret_cast<sockaddr_un*>(&result.storage_);
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path + (abstract ? 1 : 0), name.data(), name.size());
  // An abstract name is as long as the length says, a path ends with its NUL.
  result.length_ = static_cast<socklen_t>(kUnixHeader + 1 + name.size());
  return result;
}

absl::StatusOr<Address> Address::ParseIpv4(std::string_view text, std::string_view host,
                                           uint16_t port) {
  if (host.empty()) {
    return Malformed(text, "the host before the colon is missing (0.0.0.0 for every interface)");
  }
  Address result;
  auto* address = reinterpret_cast<sockaddr_in*>(&result.storage_);
  address->sin_family = AF_INET;
  address->sin_port = htons(port);
  const std::string copy(host);
  // inet_pton() reads to the NUL only, which would hide what follows one in the text.
  if (copy.find('\0') != std::string::npos ||
      inet_pton(AF_INET, copy.c_str(), &address->sin_addr) != 1) {
    return Malformed(text, "\"" + copy + "\" is not an IPv4 address (names are not resolved)");
  }
  result.length_ = sizeof(sockaddr_in);
  return result;
}

absl::StatusOr<Address> Address::ParseIpv6(std::string_view text, std::string_view host,
                                           uint16_t port) {
  const size_t percent = host.find('%');
  const std::string numeric(host.substr(0, percent));
  Address result;
  auto* address = reinterpret_cast<sockaddr_in6*>(&result.storage_);
  address->sin6_family = AF_INET6;
  address->sin6_port = htons(port);
  if (numeric.find('\0') != std::string::npos ||
      inet_pton(AF_INET6, numeric.c_str(), &address->sin6_addr) != 1) {
    return Malformed(text, "\"" + numeric + "\" is not an IPv6 address");
  }
  if (percent != std::string_view::npos) {
    const std::string scope(host.substr(percent + 1));
    if (scope.empty()) return Malformed(text, "the scope id after % is missing");
    if (!HasScope(address->sin6_addr)) {
      return Malformed(text, "a scope id goes with a link-local address (fe80::) only");
    }
    // if_nametoindex() reads to a NUL only, too.
    if (scope.find('\0') == std::string::npos) address->sin6_scope_id = InterfaceIndex(scope);
    if (address->sin6_scope_id == 0) {
      return Malformed(text, "there is no network interface \"" + scope + "\"");
    }
  }
  result.length_ = sizeof(sockaddr_in6);
  return result;
}

absl::StatusOr<Address> Address::FromSockaddr(const sockaddr* address, socklen_t length) {
  Address result;
  const auto bad_length = [&](const char* family) {
    return absl::InvalidArgumentError(std::string("socket address of family ") + family + " has " +
                                      std::to_string(length) + " bytes");
  };
  if (length < sizeof(sa_family_t)) return bad_length("unknown");
  // Copied out before it is looked at: the caller's bytes may be aligned for sockaddr only.
  switch (address->sa_family) {
    case AF_INET: {
      if (length != sizeof(sockaddr_in)) return bad_length("AF_INET");
      sockaddr_in from;
      std::memcpy(&from, address, sizeof(from));
      auto* to = reinterpret_cast<sockaddr_in*>(&result.storage_);
      to->sin_family = AF_INET;
      to->sin_port = from.sin_port;
      to->sin_addr = from.sin_addr;
      break;
    }
    case AF_INET6: {
      if (length != sizeof(sockaddr_in6)) return bad_length("AF_INET6");
      sockaddr_in6 from;
      std::memcpy(&from, address, sizeof(from));
      auto* to = reinterpret_cast<sockaddr_in6*>(&result.storage_);
      to->sin6_family = AF_INET6;
      to->sin6_port = from.sin6_port;
      to->sin6_addr = from.sin6_addr;
      if (HasScope(from.sin6_addr)) to->sin6_scope_id = from.sin6_scope_id;
      break;
    }
    case AF_UNIX: {
      if (length > kMaxUnixLength) return bad_length("AF_UNIX");
      std::memcpy(&result.storage_, address, length);
      const auto* path = reinterpret_cast<const char*>(address) + kUnixHeader;
      const size_t room = length - kUnixHeader;
      if (room > 0 && path[0] != '\0') {
        // With exactly one NUL at its end, as Parse() makes it.
        length = static_cast<socklen_t>(kUnixHeader + strnlen(path, room) + 1);
        if (length > kMaxUnixLength) return bad_length("AF_UNIX");
        std::memset(reinterpret_cast<char*>(&result.storage_) + length - 1, 0,
                    sizeof(result.storage_) - length + 1);
      } else if (length > sizeof(sockaddr_un)) {
        // Beyond the structure there is a path's NUL at most.
        return bad_length("AF_UNIX");
      }
      break;
    }
    default:
      return absl::InvalidArgumentError("socket address of family " +
                                        std::to_string(address->sa_family) +
                                        " is neither IPv4, IPv6 nor Unix");
  }
  result.length_ = length;
  return result;
}

std::string Address::ToString() const {
  char host[INET6_ADDRSTRLEN];
  switch (family()) {
    case AF_INET: {
      const auto* address = reinterpret_cast<const sockaddr_in*>(&storage_);
      inet_ntop(AF_INET, &address->sin_addr, host, sizeof(host));
      return std::string(host) + ":" + std::to_string(port());
    }
    case AF_INET6: {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(&storage_);
      inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof(host));
      std::string text = std::string("[") + host;
      if (address->sin6_scope_id != 0) text += "%" + ScopeName(address->sin6_scope_id);
      return text + "]:" + std::to_string(port());
    }
    default: {
      std::string text(kUnixPrefix);
      const std::string_view path = unix_path();
      if (!path.empty()) {
        if (path.front() == '@') text += "./";
        return text.append(path);
      }
      const std::string_view name = unix_bytes();
      if (!name.empty()) text.append("@").append(name.substr(1));
      return text;
    }
  }
}

uint16_t Address::port() const {
  switch (family()) {
    case AF_INET:
      return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
    case AF_INET6:
      return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
    default:
      return 0;
  }
}

Address Address::WithPort(uint16_t port) const {
  Address result = *this;
  if (family() == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&result.storage_)->sin_port = htons(port);
  } else if (family() == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&result.storage_)->sin6_port = htons(port);
  }
  return result;
}

std::string_view Address::unix_bytes() const {
  if (!is_unix() || length_ <= kUnixHeader) return {};
  return {reinterpret_cast<const char*>(&storage_) + kUnixHeader, length_ - kUnixHeader};
}

std::string_view Address::unix_path() const {
  const std::string_view bytes = unix_bytes();
  if (bytes.empty() || bytes.front() == '\0') return {};
  return bytes.substr(0, bytes.size() - 1);
}

bool operator==(const Address& a, const Address& b) {
  return a.length_ == b.length_ && std::memcmp(&a.storage_, &b.storage_, a.length_) == 0;
}

}  // namespace quintet
