// ReadProxyHeader(): as a connection's bytes arrive, one verdict is reached and never taken back;
// and a header that was accepted says what is found by taking it apart a second time.
//
// Input: one octet, whose lowest bit has the checksum of a header of version 2 put right, then what
// the proxy sends.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "net/proxy_protocol.h"
#include "tests/fuzz/cuts.h"

namespace quintet::testing {
namespace {

using namespace std::string_view_literals;
using State = ProxyHeader::State;

constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr size_t kFixedBytes = 16;
// Behind the verdict each size is tried up to so many bytes, then one in so many: the verdict costs
// as much each time.
constexpr size_t kCloseBytes = 64;
constexpr size_t kStride = 61;

unsigned Octet(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
unsigned Big16(std::string_view bytes, size_t at) {
  return Octet(bytes, at) << 8 | Octet(bytes, at + 1);
}

std::string Text(const std::optional<Address>& address) {
  return address.has_value() ? address->ToString() : "none";
}

bool IsSame(const ProxyHeader& a, const ProxyHeader& b) {
  return a.state == b.state && a.bytes == b.bytes && a.source == b.source &&
         a.destination == b.destination && a.error == b.error;
}

std::string Describe(const ProxyHeader& header) {
  return std::to_string(static_cast<int>(header.state)) + ", " + std::to_string(header.bytes) +
         " bytes, from " + Text(header.source) + " to " + Text(header.destination) + ", " +
         std::string(header.error);
}

// RFC 3720 appendix B.4.
uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

// The bytes that both addresses take; 0 where nothing behind the fixed part is looked at.
size_t AddressBytes(std::string_view header) {
  if (Octet(header, 12) != 0x21) return 0;
  switch (Octet(header, 13)) {
    case 0x11:
      return 12;
    case 0x21:
      return 36;
    case 0x31:
      return 216;
    default:
      return 0;
  }
}

// Where the value of the first checksum stands in a header of version 2.
std::optional<size_t> ChecksumAt(std::string_view header) {
  const size_t address_bytes = AddressBytes(header);
  if (address_bytes == 0) return std::nullopt;
  for (size_t at = kFixedBytes + address_bytes; at + 3 <= header.size();) {
    const size_t value = at + 3;
    const size_t length = Big16(header, at + 1);
    if (Octet(header, at) == 3 && length == 4 && value + 4 <= header.size()) return value;
    at = value + length;
  }
  return std::nullopt;
}

uint32_t ChecksumOf(std::string header, size_t at) {
  header.replace(at, 4, 4, '\0');
  return Crc32c(header);
}

// The header of version 2 that `bytes` begins with, as far as its length says.
std::string_view WholeV2(std::string_view bytes) {
  if (bytes.size() < kFixedBytes || !bytes.starts_with(kSignature)) return {};
  const size_t size = kFixedBytes + Big16(bytes, 14);
  return size <= bytes.size() ? bytes.substr(0, size) : std::string_view();
}

std::string WithChecksum(std::string_view bytes) {
  std::string result(bytes);
  const std::string_view header = WholeV2(bytes);
  const std::optional<size_t> at = header.empty() ? std::nullopt : ChecksumAt(header);
  if (!at.has_value()) return result;
  const uint32_t checksum = ChecksumOf(std::string(header), *at);
  for (size_t i = 0; i < 4; ++i) result[*at + i] = static_cast<char>(checksum >> (24 - 8 * i));
  return result;
}

std::string IpText(int family, std::string_view host, unsigned port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, host.data(), text.data(), text.size());
  const std::string name(text.data());
  return (family == AF_INET6 ? "[" + name + "]" : name) + ":" + std::to_string(port);
}

// Up to the zeros that fill it up; of a path up to the first.
std::string UnixText(std::string_view name) {
  name = name.substr(0, name.find_last_not_of('\0') + 1);
  if (name.starts_with('\0')) return "unix:@" + std::string(name.substr(1));
  name = name.substr(0, name.find('\0'));
  return (name.starts_with('@') ? "unix:./" : "unix:") + std::string(name);
}

void ExpectV2(std::string_view header, const ProxyHeader& verdict) {
  EXPECT_EQ(header.size(), verdict.bytes);
  EXPECT_LE(verdict.bytes, kMaxProxyV2Bytes);
  const unsigned command = Octet(header, 12);
  EXPECT_TRUE(command == 0x20 || command == 0x21) << command;
  std::string source = "none";
  std::string destination = "none";
  const std::string_view block = header.substr(kFixedBytes);
  switch (AddressBytes(header)) {
    case 12:
      source = IpText(AF_INET, block, Big16(block, 8));
      destination = IpText(AF_INET, block.substr(4), Big16(block, 10));
      break;
    case 36:
      source = IpText(AF_INET6, block, Big16(block, 32));
      destination = IpText(AF_INET6, block.substr(16), Big16(block, 34));
      break;
    case 216:
      source = UnixText(block.substr(0, 108));
      destination = UnixText(block.substr(108, 108));
      break;
    default:
      EXPECT_TRUE(command == 0x20 || Octet(header, 13) == 0) << Describe(verdict);
  }
  EXPECT_EQ(Text(verdict.source), source);
  EXPECT_EQ(Text(verdict.destination), destination);
  if (const std::optional<size_t> at = ChecksumAt(header); at.has_value()) {
    EXPECT_EQ(Big16(header, *at) << 16 | Big16(header, *at + 2),
              ChecksumOf(std::string(header), *at));
  }
}

// inet_ntop(3)'s text of what inet_pton(3) reads.
std::string Canonical(int family, const std::string& host) {
  in6_addr address;
  if (inet_pton(family, host.c_str(), &address) != 1) return "not an address: " + host;
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, &address, text.data(), text.size());
  return family == AF_INET6 ? "[" + std::string(text.data()) + "]" : text.data();
}

void ExpectV1(std::string_view line, const ProxyHeader& verdict) {
  EXPECT_LE(line.size(), kMaxProxyV1Bytes);
  EXPECT_TRUE(line.ends_with("\r\n")) << line;
  EXPECT_EQ(line.find_first_of("\r\n"), line.size() - 2) << line;
  std::istringstream words{std::string(line.substr(0, line.size() - 2))};
  std::string proxy, protocol, source, destination, source_port, destination_port;
  words >> proxy >> protocol;
  EXPECT_EQ(proxy, "PROXY");
  if (protocol == "UNKNOWN") {
    EXPECT_FALSE(verdict.source.has_value() || verdict.destination.has_value());
    return;
  }
  words >> source >> destination >> source_port >> destination_port;
  EXPECT_TRUE(protocol == "TCP4" || protocol == "TCP6") << line;
  const int family = protocol == "TCP6" ? AF_INET6 : AF_INET;
  EXPECT_EQ(Text(verdict.source), Canonical(family, source) + ":" + source_port);
  EXPECT_EQ(Text(verdict.destination), Canonical(family, destination) + ":" + destination_port);
  // Nothing but single spaces between the words, and nothing behind them.
  const std::string again = proxy + " " + protocol + " " + source + " " + destination + " " +
                            source_port + " " + destination_port + "\r\n";
  EXPECT_EQ(again, line);
}

}  // namespace
}  // namespace quintet::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quintet;
  using namespace quintet::testing;
  const std::string_view input = InputText(data, size);
  if (input.empty()) return 0;
  std::string bytes(input.substr(1));
  if ((input.front() & 1) != 0) bytes = WithChecksum(bytes);

  ProxyHeader first;
  size_t first_size = 0;
  for (size_t there = 0; there <= bytes.size(); ++there) {
    const bool near = there - first_size < kCloseBytes || there == bytes.size();
    if (first.state != State::kIncomplete && !near && there % kStride != 0) continue;
    const ProxyHeader now = ReadProxyHeader(std::string_view(bytes).substr(0, there));
    if (first.state == State::kIncomplete) {
      first = now;
      first_size = there;
      // All that belongs to a header is needed for it, and no more is waited for.
      EXPECT_TRUE(now.state != State::kComplete || now.bytes == there) << Describe(now);
    } else {
      EXPECT_TRUE(IsSame(now, first))
          << Describe(first) << "; after " << there << " bytes: " << Describe(now);
    }
    EXPECT_TRUE(now.state != State::kIncomplete || there < kMaxProxyV2Bytes);
  }
  if (first.state != State::kComplete) return 0;
  const std::string_view header = std::string_view(bytes).substr(0, first.bytes);
  if (header.starts_with(kSignature)) {
    ExpectV2(header, first);
  } else {
    ExpectV1(header, first);
  }
  return 0;
}
