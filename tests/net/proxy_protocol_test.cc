#include "net/proxy_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quintet::testing {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;
using State = ProxyHeader::State;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
// What a client says behind the header. A reader that does not stop takes it for more of it.
const std::string kBehind = "\r\n\0PROXY TCP4\r\n"s;
// 192.0.2.7 to 203.0.113.9, port 54321 to 443.
const std::string kIpv4Block = "\xc0\x00\x02\x07\xcb\x00\x71\x09\xd4\x31\x01\xbb"s;
const std::string kIpv6Block =
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\xd4\x31\x01\xbb"s;

std::string Big16(size_t number) {
  return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}

// The length field says what is there, or `length`.
std::string V2(int command, int family, const std::string& block, int length = -1) {
  return kSignature + static_cast<char>(command) + static_cast<char>(family) +
         Big16(length < 0 ? block.size() : static_cast<size_t>(length)) + block;
}

std::string Tlv(int type, const std::string& value) {
  return static_cast<char>(type) + Big16(value.size()) + value;
}

std::string UnixPath(std::string path) {
  path.resize(108);
  return path;
}

std::string ToString(const std::optional<Address>& address) {
  return address.has_value() ? address->ToString() : "none";
}

struct Good {
  std::string header;
  std::string source = "none";
  std::string destination = "none";
};

std::vector<Good> GoodHeaders() {
  const std::string v4 = "192.0.2.7:54321";
  const std::string v4_server = "203.0.113.9:443";
  const std::string v6 = "[2001:db8::7]:54321";
  const std::string v6_server = "[2001:db8::9]:443";
  return {
      {"PROXY TCP4 192.0.2.7 203.0.113.9 54321 443\r\n", v4, v4_server},
      {"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", "255.255.255.255:65535", "0.0.0.0:0"},
      {"PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:9 54321 443\r\n", v6, v6_server},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "65535 65535\r\n",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
      // As inet_ntop(3) writes IPv4 addresses that an IPv6 socket has seen.
      {"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "[::ffff:192.0.2.7]:1", "[::1]:2"},
      {"PROXY UNKNOWN\r\n"},
      {"PROXY UNKNOWN whatever  stands\there\r\n"},
      // 107 bytes with the CRLF: as long as a line may be.
      {"PROXY UNKNOWN " + std::string(91, 'f') + "\r\n"},

      {V2(0x21, 0x11, kIpv4Block), v4, v4_server},
      {V2(0x21, 0x21, kIpv6Block), v6, v6_server},
      {V2(0x21, 0x31, UnixPath("/run/a") + UnixPath("/b")), "unix:/run/a", "unix:/b"},
      {V2(0x21, 0x31, UnixPath("\0name"s) + UnixPath("")), "unix:@name", "unix:"},
      {V2(0x21, 0x31, UnixPath(std::string(108, 'p')) + UnixPath("/b\0c"s)),
       "unix:" + std::string(108, 'p'), "unix:/b"},
      // LOCAL: the connection is the proxy's own, whatever the rest says.
      {V2(0x20, 0x00, "")},
      {V2(0x20, 0x11, kIpv4Block)},
      {V2(0x20, 0xff, "passed over")},
      {V2(0x21, 0x00, "")},
      {V2(0x21, 0x00, "passed over")},

      {V2(0x21, 0x11, kIpv4Block + Tlv(0x04, "")), v4, v4_server},
      {V2(0x21, 0x11, kIpv4Block + Tlv(0x02, "example.com") + Tlv(0xea, "\0\1"s)), v4, v4_server},
      {V2(0x21, 0x21, kIpv6Block + Tlv(0x05, std::string(128, 'u'))), v6, v6_server},
      // Checksums from another implementation.
      {V2(0x21, 0x11, kIpv4Block + Tlv(0x03, "\x39\x3c\xa4\xdd")), v4, v4_server},
      {V2(0x21, 0x11,
          kIpv4Block + Tlv(0x02, "example.com") + Tlv(0x03, "\xd7\xb3\x57\x7a") + Tlv(0x04, "")),
       v4, v4_server},
      // As long as a header may be.
      {V2(0x21, 0x11, kIpv4Block + Tlv(0xe0, std::string(kMaxProxyV2Bytes - 16 - 12 - 3, 't'))), v4,
       v4_server},
      {V2(0x20, 0x00, std::string(kMaxProxyV2Bytes - 16, 'l'))},
  };
}

struct BadCase {
  std::string bytes;
  std::string error;
};

std::vector<BadCase> BadHeaders() {
  const std::string none = "does not begin with a PROXY header";
  const std::string protocol = "not TCP4, TCP6 or UNKNOWN";
  const std::string address = "an address is not";
  const std::string port = "a port is not";
  const std::string family = "no address family";
  return {
      {"GET / HTTP/1.1\r\n\r\n", none},
      {"POST / HTTP/1.1\r\n\r\n", none},
      {"PROXX TCP4 192.0.2.7 203.0.113.9 1 2\r\n", none},
      {"proxy TCP4 192.0.2.7 203.0.113.9 1 2\r\n", none},
      {" PROXY TCP4 192.0.2.7 203.0.113.9 1 2\r\n", none},
      {"\x16\x03\x01\x02\x01", none},
      {"\0"s, none},
      {"\r\nPROXY UNKNOWN\r\n", none},

      {"PROXY\r\n", protocol},
      {"PROXY \r\n", protocol},
      {"PROXY  TCP4 192.0.2.7 203.0.113.9 1 2\r\n", protocol},
      {"PROXYTCP4 192.0.2.7 203.0.113.9 1 2\r\n", protocol},
      {"PROXY TCP 192.0.2.7 203.0.113.9 1 2\r\n", protocol},
      {"PROXY TCP5 192.0.2.7 203.0.113.9 1 2\r\n", protocol},
      {"PROXY UDP4 192.0.2.7 203.0.113.9 1 2\r\n", protocol},
      {"PROXY tcp4 192.0.2.7 203.0.113.9 1 2\r\n", protocol},
      {"PROXY unknown\r\n", protocol},
      {"PROXY UNKNOWN2\r\n", protocol},
      {"PROXY TCP4\r\n", protocol},
      {"PROXY TCP4\t192.0.2.7 203.0.113.9 1 2\r\n", protocol},

      {"PROXY TCP4 \r\n", address},
      {"PROXY TCP4 192.0.2.7\r\n", address},
      {"PROXY TCP4 192.0.2.7 \r\n", address},
      {"PROXY TCP4  192.0.2.7 203.0.113.9 1 2\r\n", address},
      {"PROXY TCP4 192.0.2.7  203.0.113.9 1 2\r\n", address},
      {"PROXY TCP4 192.0.2 203.0.113.9 1 2\r\n", address},
      {"PROXY TCP4 192.0.2.256 203.0.113.9 1 2\r\n", address},
      {"PROXY TCP4 192.0.2.07 203.0.113.9 1 2\r\n", address},
      {"PROXY TCP4 192.0.2.7\0 203.0.113.9 1 2\r\n"s, address},
      {"PROXY TCP4 192.0.2.7 client 1 2\r\n", address},
      {"PROXY TCP4 2001:db8::7 2001:db8::9 1 2\r\n", address},
      {"PROXY TCP4 192.0.2.7 2001:db8::9 1 2\r\n", address},
      {"PROXY TCP6 192.0.2.7 203.0.113.9 1 2\r\n", address},
      {"PROXY TCP6 2001:db8::7 203.0.113.9 1 2\r\n", address},
      {"PROXY TCP6 [2001:db8::7] [2001:db8::9] 1 2\r\n", address},
      {"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", address},
      {"PROXY TCP6 1::2::3 ::1 1 2\r\n", address},
      {"PROXY TCP6 12345::1 ::1 1 2\r\n", address},
      {"PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", address},

      {"PROXY TCP4 192.0.2.7 203.0.113.9\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 \r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9  1 2\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1  2\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 2 \r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 2 3\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 65536 2\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 99999999999999999999\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 01 2\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 00\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 -1 2\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 +1 2\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 0x1 2\r\n", port},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 2\0\r\n"s, port},

      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 2\n", "line feed without"},
      {"PROXY\n", "line feed without"},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 2\r", "carriage return without"},
      {"PROXY TCP4 192.0.2.7 203.0.113.9 1 2\r\r\n", "carriage return without"},
      {"PROXY UNKNOWN \r \r\n", "carriage return without"},
      {"PROXY UNKNOWN " + std::string(92, 'f') + "\r\n", "more than 107"},
      {"PROXY UNKNOWN " + std::string(10'000, 'f'), "more than 107"},

      {V2(0x11, 0x11, kIpv4Block), "the version is not 2"},
      {V2(0x31, 0x11, kIpv4Block), "the version is not 2"},
      {V2(0x01, 0x11, kIpv4Block), "the version is not 2"},
      {V2(0x22, 0x11, kIpv4Block), "not LOCAL or PROXY"},
      {V2(0x2f, 0x11, kIpv4Block), "not LOCAL or PROXY"},
      {V2(0x21, 0x12, kIpv4Block), family},  // UDP
      {V2(0x21, 0x22, kIpv6Block), family},
      {V2(0x21, 0x32, UnixPath("/a") + UnixPath("/b")), family},
      {V2(0x21, 0x10, kIpv4Block), family},
      {V2(0x21, 0x01, kIpv4Block), family},
      {V2(0x21, 0x13, kIpv4Block), family},
      {V2(0x21, 0x41, kIpv4Block), family},
      {V2(0x21, 0xff, kIpv4Block), family},
      {V2(0x21, 0x11, ""), "shorter than its addresses"},
      {V2(0x21, 0x11, kIpv4Block, 11), "shorter than its addresses"},
      {V2(0x21, 0x21, kIpv4Block), "shorter than its addresses"},
      {V2(0x21, 0x31, UnixPath("/a")), "shorter than its addresses"},
      {V2(0x21, 0x11, kIpv4Block, static_cast<int>(kMaxProxyV2Bytes) - 16 + 1), "more than 4096"},
      {V2(0x20, 0x00, "", 0xffff), "more than 4096"},

      {V2(0x21, 0x11, kIpv4Block + "\x04"), "cut off"},
      {V2(0x21, 0x11, kIpv4Block + "\x04\0"s), "cut off"},
      {V2(0x21, 0x11, kIpv4Block + Tlv(0x04, "x") + "\x04\0"s), "cut off"},
      {V2(0x21, 0x11, kIpv4Block + "\x04\0\1"s), "longer than the header"},
      {V2(0x21, 0x11, kIpv4Block + "\x04\xff\xff name"s), "longer than the header"},
      {V2(0x21, 0x11, kIpv4Block + Tlv(0x03, "\x39\x3c\xa4\xde")), "checksum is wrong"},
      {V2(0x21, 0x11, kIpv4Block + Tlv(0x03, "\xdd\xa4\x3c\x39")), "checksum is wrong"},
      {V2(0x21, 0x11, kIpv4Block + Tlv(0x03, "\x39\x3c\xa4")), "not 4 bytes"},
      {V2(0x21, 0x11, kIpv4Block + Tlv(0x03, "")), "not 4 bytes"},
  };
}

TEST(ProxyProtocolTest, GoodHeadersWithWhateverFollows) {
  for (const Good& good : GoodHeaders()) {
    SCOPED_TRACE(good.header.substr(0, 120));
    for (const std::string& behind : {""s, "x"s, "\r"s, kBehind, good.header}) {
      const ProxyHeader header = ReadProxyHeader(good.header + behind);
      ASSERT_EQ(header.state, State::kComplete) << header.error;
      EXPECT_EQ(header.bytes, good.header.size());
      EXPECT_EQ(ToString(header.source), good.source);
      EXPECT_EQ(ToString(header.destination), good.destination);
      EXPECT_EQ(header.error, "");
    }
  }
}

TEST(ProxyProtocolTest, GoodHeadersAreIncompleteUpToTheirLastByte) {
  for (const Good& good : GoodHeaders()) {
    for (size_t size = 0; size < good.header.size(); ++size) {
      const ProxyHeader header = ReadProxyHeader(std::string_view(good.header).substr(0, size));
      ASSERT_EQ(header.state, State::kIncomplete) << good.header.substr(0, size);
      EXPECT_EQ(header.bytes, 0U);
      EXPECT_FALSE(header.source.has_value());
    }
  }
}

TEST(ProxyProtocolTest, BadHeadersSayWhatIsWrong) {
  for (const BadCase& bad : BadHeaders()) {
    SCOPED_TRACE(bad.bytes.substr(0, 120));
    // Some are decided by what follows.
    const ProxyHeader header = ReadProxyHeader(bad.bytes + "x");
    EXPECT_EQ(header.state, State::kBad);
    EXPECT_THAT(std::string(header.error), HasSubstr(bad.error));
    EXPECT_FALSE(header.source.has_value());
  }
}

// However the bytes arrive, byte by byte or with others behind them, the verdict is the same.
TEST(ProxyProtocolTest, AVerdictOnceGivenStays) {
  for (const BadCase& bad : BadHeaders()) {
    SCOPED_TRACE(bad.bytes.substr(0, 120));
    const std::string bytes = bad.bytes + "x" + kBehind;
    const ProxyHeader whole = ReadProxyHeader(bytes);
    bool decided = false;
    for (size_t size = 0; size <= bytes.size(); ++size) {
      const ProxyHeader header = ReadProxyHeader(std::string_view(bytes).substr(0, size));
      if (header.state == State::kIncomplete) {
        ASSERT_FALSE(decided) << size;
        continue;
      }
      decided = true;
      ASSERT_EQ(header.state, State::kBad);
      ASSERT_EQ(header.error, whole.error) << size;
    }
    EXPECT_TRUE(decided);
  }
}

TEST(ProxyProtocolTest, SecondChecksumIsRefused) {
  // The first one holds with the second in place, from another implementation.
  const std::string header =
      V2(0x21, 0x11, kIpv4Block + Tlv(0x03, "\x58\xc1\x37\xc4") + Tlv(0x03, "\0\0\0\0"s));
  EXPECT_THAT(std::string(ReadProxyHeader(header).error), HasSubstr("two checksums"));
}

// Bits that flip lead to another verdict or another address, never to a read beyond the header.
TEST(ProxyProtocolTest, AnyByteMayBeAnything) {
  for (const Good& good : GoodHeaders()) {
    if (good.header.size() > 300) continue;
    for (size_t at = 0; at < good.header.size(); ++at) {
      for (int value = 0; value < 256; ++value) {
        // On the heap and exactly as long: a read beyond is found by a sanitizer.
        const std::vector<char> bytes = [&] {
          std::vector<char> made(good.header.begin(), good.header.end());
          made[at] = static_cast<char>(value);
          return made;
        }();
        const ProxyHeader header = ReadProxyHeader({bytes.data(), bytes.size()});
        if (header.state == State::kComplete) {
          ASSERT_LE(header.bytes, bytes.size());
        }
      }
    }
  }
}

}  // namespace
}  // namespace quintet::testing
