#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <type_traits>
#include <utility>

namespace quintet {
namespace {

using namespace std::string_view_literals;
using State = ProxyHeader::State;

constexpr std::string_view kV1Begin = "PROXY";
constexpr std::string_view kV2Begin = "\r\n\r\n\0\r\nQUIT\n"sv;
static_assert(kV2Begin.size() == 12);

// Of version 2: where the fields behind the signature are, and where the rest begins.
constexpr size_t kCommandAt = 12;
constexpr size_t kFamilyAt = 13;
constexpr size_t kLengthAt = 14;
constexpr size_t kAddressesAt = 16;
constexpr uint8_t kLocal = 0x20;  // version 2 in the upper half
constexpr uint8_t kProxy = 0x21;
constexpr size_t kUnixPathBytes = 108;
static_assert(kUnixPathBytes == sizeof(sockaddr_un::sun_path));

constexpr size_t kTlvHeadBytes = 3;
constexpr uint8_t kTlvCrc32c = 0x03;
constexpr size_t kCrcBytes = 4;

ProxyHeader Incomplete() { return {}; }

ProxyHeader Bad(std::string_view error) {
  ProxyHeader header;
  header.state = State::kBad;
  header.error = error;
  return header;
}

ProxyHeader Complete(size_t bytes) {
  ProxyHeader header;
  header.state = State::kComplete;
  header.bytes = bytes;
  return header;
}

template <typename Sockaddr>
std::optional<Address> FromSockaddr(const Sockaddr& address, size_t length = sizeof(Sockaddr)) {
  auto result = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&address),
                                      static_cast<socklen_t>(length));
  return result.ok() ? std::optional<Address>(*result) : std::nullopt;
}

// Host and port in network byte order.
std::optional<Address> MakeAddress(const in_addr& host, in_port_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = port;
  address.sin_addr = host;
  return FromSockaddr(address);
}
std::optional<Address> MakeAddress(const in6_addr& host, in_port_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = port;
  address.sin6_addr = host;
  return FromSockaddr(address);
}

// ---- Version 1 ----

// The whole of `text` as inet_pton(3) reads it, which takes no leading zeros.
template <typename Host>
bool ParseHost(std::string_view text, Host& host) {
  constexpr int kFamily = std::is_same_v<Host, in_addr> ? AF_INET : AF_INET6;
  std::array<char, INET6_ADDRSTRLEN> copy{};
  // It would read up to a NUL only.
  if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return false;
  text.copy(copy.data(), text.size());
  return ::inet_pton(kFamily, copy.data(), &host) == 1;
}

bool ParsePort(std::string_view text, in_port_t& port) {
  uint16_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return false;
  if (text.front() == '0' && text.size() > 1) return false;
  port = htons(value);
  return true;
}

// `fields`: source, destination, their ports.
template <typename Host>
ProxyHeader ReadV1Addresses(const std::array<std::string_view, 4>& fields, size_t bytes) {
  Host source;
  Host destination;
  if (!ParseHost(fields[0], source) || !ParseHost(fields[1], destination)) {
    return Bad("an address is not one of the protocol that the line names");
  }
  in_port_t source_port = 0;
  in_port_t destination_port = 0;
  if (!ParsePort(fields[2], source_port) || !ParsePort(fields[3], destination_port)) {
    return Bad("a port is not a number from 0 to 65535");
  }
  ProxyHeader header = Complete(bytes);
  header.source = MakeAddress(source, source_port);
  header.destination = MakeAddress(destination, destination_port);
  return header;
}

// `line`: what stands behind "PROXY" and before CRLF.
ProxyHeader ReadV1Line(std::string_view line, size_t bytes) {
  // The rest of such a line is to be ignored, whatever it is.
  if (line == " UNKNOWN" || line.starts_with(" UNKNOWN ")) return Complete(bytes);
  if (!line.starts_with(" TCP4 ") && !line.starts_with(" TCP6 ")) {
    return Bad("the protocol of version 1 is not TCP4, TCP6 or UNKNOWN");
  }
  const bool tcp4 = line[4] == '4';
  line.remove_prefix(6);
  std::array<std::string_view, 4> fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    // Further spaces are left in the last one, which cannot be a port then.
    const bool last = i + 1 == fields.size();
    const size_t end = last ? line.size() : std::min(line.find(' '), line.size());
    fields[i] = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return tcp4 ? ReadV1Addresses<in_addr>(fields, bytes) : ReadV1Addresses<in6_addr>(fields, bytes);
}

ProxyHeader ReadV1(std::string_view bytes) {
  // The line is looked at when it is complete, and so the verdict is about the line alone.
  const std::string_view head = bytes.substr(0, kMaxProxyV1Bytes);
  const size_t end = std::min(head.find_first_of("\r\n"), head.size());
  if (end < head.size() && head[end] == '\n') return Bad("a line feed without a carriage return");
  if (end + 1 >= head.size()) {
    if (head.size() < kMaxProxyV1Bytes) return Incomplete();
    return Bad("the line of version 1 has more than 107 bytes");
  }
  if (head[end + 1] != '\n') return Bad("a carriage return without a line feed");
  return ReadV1Line(head.substr(kV1Begin.size(), end - kV1Begin.size()), end + 2);
}

// ---- Version 2 ----

uint8_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

size_t NumberAt(std::string_view bytes, size_t at, size_t size) {
  size_t number = 0;
  for (size_t i = 0; i < size; ++i) number = (number << 8) | ByteAt(bytes, at + i);
  return number;
}

// RFC 4960 appendix B, of the header with its checksum, which is at `checksum_at`, taken for zero.
uint32_t Crc32c(std::string_view header, size_t checksum_at) {
  uint32_t crc = ~uint32_t{0};
  for (size_t i = 0; i < header.size(); ++i) {
    const bool checksum = i >= checksum_at && i < checksum_at + kCrcBytes;
    crc ^= checksum ? 0U : ByteAt(header, i);
    // Bit by bit: once per connection, and of a few dozen bytes.
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

// What is wrong with the entries from `at` on; empty for nothing.
std::string_view CheckTlvs(std::string_view header, size_t at) {
  bool checked = false;
  while (at < header.size()) {
    if (header.size() - at < kTlvHeadBytes) return "an entry is cut off";
    const uint8_t type = ByteAt(header, at);
    const size_t length = NumberAt(header, at + 1, 2);
    at += kTlvHeadBytes;
    if (length > header.size() - at) return "an entry is longer than the header";
    if (type == kTlvCrc32c) {
      if (length != kCrcBytes) return "the checksum has not 4 bytes";
      // One header, one checksum: many would make it dear to look at.
      if (std::exchange(checked, true)) return "there are two checksums";
      if (Crc32c(header, at) != NumberAt(header, at, kCrcBytes)) return "the checksum is wrong";
    }
    at += length;
  }
  return {};
}

template <typename Host>
void ReadIpAddresses(std::string_view block, ProxyHeader& header) {
  Host source;
  Host destination;
  in_port_t source_port;
  in_port_t destination_port;
  const char* at = block.data();
  const auto take = [&at](auto& value) {
    std::memcpy(&value, at, sizeof(value));
    at += sizeof(value);
  };
  take(source);
  take(destination);
  take(source_port);
  take(destination_port);
  header.source = MakeAddress(source, source_port);
  header.destination = MakeAddress(destination, destination_port);
}

// `path` as in sun_path, filled up with NULs: those of a name without a path (unix(7), "abstract")
// are taken for filling, too.
std::optional<Address> ReadUnixAddress(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const size_t used = path.find_last_not_of('\0') + 1;  // npos + 1 == 0: no name
  return FromSockaddr(address, offsetof(sockaddr_un, sun_path) + used);
}

void ReadAddresses(std::string_view block, ProxyHeader& header) {
  switch (block.size()) {
    case 2 * (sizeof(in_addr) + sizeof(in_port_t)):
      return ReadIpAddresses<in_addr>(block, header);
    case 2 * (sizeof(in6_addr) + sizeof(in_port_t)):
      return ReadIpAddresses<in6_addr>(block, header);
    default:
      header.source = ReadUnixAddress(block.substr(0, kUnixPathBytes));
      header.destination = ReadUnixAddress(block.substr(kUnixPathBytes));
  }
}

// The bytes that both addresses take; nothing for a family or protocol that is refused.
std::optional<size_t> AddressBytes(uint8_t family) {
  switch (family) {
    case 0x00:  // UNSPEC
      return 0;
    case 0x11:  // TCP over IPv4
      return 2 * (sizeof(in_addr) + sizeof(in_port_t));
    case 0x21:  // TCP over IPv6
      return 2 * (sizeof(in6_addr) + sizeof(in_port_t));
    case 0x31:  // Unix stream
      return 2 * kUnixPathBytes;
    default:  // of datagrams, or none that the document defines
      return std::nullopt;
  }
}

ProxyHeader ReadV2(std::string_view bytes) {
  if (bytes.size() <= kCommandAt) return Incomplete();
  const uint8_t command = ByteAt(bytes, kCommandAt);
  if ((command >> 4) != 2) return Bad("the version is not 2");
  if (command != kLocal && command != kProxy) return Bad("the command is not LOCAL or PROXY");
  if (bytes.size() <= kFamilyAt) return Incomplete();
  const std::optional<size_t> address_bytes =
      command == kLocal ? 0 : AddressBytes(ByteAt(bytes, kFamilyAt));
  if (!address_bytes.has_value()) return Bad("no address family and protocol of a stream");
  if (bytes.size() < kAddressesAt) return Incomplete();
  const size_t size = kAddressesAt + NumberAt(bytes, kLengthAt, 2);
  if (size > kMaxProxyV2Bytes) return Bad("the header of version 2 has more than 4096 bytes");
  if (size < kAddressesAt + *address_bytes) return Bad("the header is shorter than its addresses");
  if (bytes.size() < size) return Incomplete();

  ProxyHeader header = Complete(size);
  if (*address_bytes == 0) return header;
  const std::string_view whole = bytes.substr(0, size);
  const std::string_view error = CheckTlvs(whole, kAddressesAt + *address_bytes);
  if (!error.empty()) return Bad(error);
  ReadAddresses(whole.substr(kAddressesAt, *address_bytes), header);
  return header;
}

// `bytes` is `begin`, goes on behind it, or may yet become it.
bool MayBegin(std::string_view bytes, std::string_view begin) {
  const size_t size = std::min(bytes.size(), begin.size());
  return bytes.substr(0, size) == begin.substr(0, size);
}

}  // namespace

ProxyHeader ReadProxyHeader(std::string_view bytes) {
  if (MayBegin(bytes, kV2Begin)) return ReadV2(bytes);
  if (MayBegin(bytes, kV1Begin)) return ReadV1(bytes);
  return Bad("the connection does not begin with a PROXY header");
}

}  // namespace quintet
