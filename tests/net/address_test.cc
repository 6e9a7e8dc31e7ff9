#include "net/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace quintet {
namespace {

using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

Address MustParse(std::string_view text) {
  absl::StatusOr<Address> address = Address::Parse(text);
  EXPECT_TRUE(address.ok()) << text << ": " << address.status();
  return *address;
}

// Bytes as getsockname(2) writes a Unix address; `name` with its leading NUL where abstract.
absl::StatusOr<Address> FromUnixBytes(std::string_view name) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  char* path = reinterpret_cast<char*>(&storage) + offsetof(sockaddr_un, sun_path);
  std::memcpy(path, name.data(), name.size());
  return Address::FromSockaddr(
      reinterpret_cast<const sockaddr*>(&storage),
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size()));
}

class AddressRoundTripTest : public ::testing::TestWithParam<const char*> {};

TEST_P(AddressRoundTripTest, PrintsWhatItParsed) {
  const Address address = MustParse(GetParam());
  EXPECT_EQ(address.ToString(), GetParam());
  const absl::StatusOr<Address> again = Address::Parse(address.ToString());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(*again == address);
  const absl::StatusOr<Address> kernel = Address::FromSockaddr(address.data(), address.size());
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  EXPECT_TRUE(*kernel == address);
}

INSTANTIATE_TEST_SUITE_P(All, AddressRoundTripTest,
                         ::testing::Values("127.0.0.1:8080", "0.0.0.0:0", "255.255.255.255:65535",
                                           "[::1]:8080", "[::]:0", "[2001:db8::7]:443",
                                           "[::ffff:192.0.2.1]:80", "[fe80::1%lo]:80",
                                           "[ff02::1%lo]:80", "unix:/run/app.sock",
                                           "unix:relative.sock", "unix:@abstract", "unix:./@file"));

TEST(AddressTest, ReadsTheParts) {
  const Address v4 = MustParse("127.0.0.1:8080");
  EXPECT_EQ(v4.family(), AF_INET);
  EXPECT_EQ(v4.port(), 8080);
  EXPECT_EQ(v4.size(), sizeof(sockaddr_in));
  EXPECT_FALSE(v4.is_unix());
  EXPECT_EQ(v4.unix_path(), "");
  const auto* sin = reinterpret_cast<const sockaddr_in*>(v4.data());
  EXPECT_EQ(sin->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  EXPECT_EQ(sin->sin_port, htons(8080));

  const Address v6 = MustParse("[::1]:443");
  EXPECT_EQ(v6.family(), AF_INET6);
  EXPECT_EQ(v6.port(), 443);
  EXPECT_EQ(v6.size(), sizeof(sockaddr_in6));

  const Address path = MustParse("unix:/run/app.sock");
  EXPECT_TRUE(path.is_unix());
  EXPECT_EQ(path.port(), 0);
  EXPECT_EQ(path.unix_path(), "/run/app.sock");

  // Without a file there is nothing for the server to remove.
  const Address abstract = MustParse("unix:@name");
  EXPECT_TRUE(abstract.is_unix());
  EXPECT_EQ(abstract.unix_path(), "");
  // The name is as long as the length says: no NUL is part of it.
  EXPECT_EQ(abstract.size(), offsetof(sockaddr_un, sun_path) + 1 + 4);
}

TEST(AddressTest, MalformedTextIsQuotedAndNamesWhatIsWrong) {
  const struct {
    std::string text;
    const char* what;
  } cases[] = {
      {"", "is empty"},
      {"127.0.0.1", "the port is missing, as in 127.0.0.1:8080"},
      {"8080", "the port is missing, as in 127.0.0.1:8080"},
      {"127.0.0.1:", "the port after the colon is missing"},
      {":8080", "the host before the colon is missing (0.0.0.0 for every interface)"},
      {"127.0.0.1:65536", "\"65536\" is not a port from 0 to 65535"},
      {"127.0.0.1:99999999999", "\"99999999999\" is not a port from 0 to 65535"},
      {"127.0.0.1:-1", "\"-1\" is not a port from 0 to 65535"},
      {"127.0.0.1:+1", "\"+1\" is not a port from 0 to 65535"},
      {"127.0.0.1: 80", "\" 80\" is not a port from 0 to 65535"},
      {"127.0.0.1:80 ", "\"80 \" is not a port from 0 to 65535"},
      {"127.0.0.1:0x50", "\"0x50\" is not a port from 0 to 65535"},
      {"127.0.0.1:http", "\"http\" is not a port from 0 to 65535"},
      {"localhost:80", "\"localhost\" is not an IPv4 address (names are not resolved)"},
      {"127.0.0:80", "\"127.0.0\" is not an IPv4 address (names are not resolved)"},
      {"127.0.0.256:80", "\"127.0.0.256\" is not an IPv4 address (names are not resolved)"},
      {"127.0.0.01:80", "\"127.0.0.01\" is not an IPv4 address (names are not resolved)"},
      {" 127.0.0.1:80", "\" 127.0.0.1\" is not an IPv4 address (names are not resolved)"},
      {std::string("127.0.0.1\0x:80", 14), "is not an IPv4 address (names are not resolved)"},
      {"::1:8080", "an IPv6 address stands in brackets, as in [::1]:8080"},
      {"127.0.0.1:80:90", "an IPv6 address stands in brackets, as in [::1]:8080"},
      {"[::1", "the closing ] is missing"},
      {"[::1]", "the port is missing, as in [::1]:8080"},
      {"[::1]8080", "after ] comes a colon and the port"},
      {"[::1]:", "the port after the colon is missing"},
      {"[::1]:65536", "\"65536\" is not a port from 0 to 65535"},
      {"[]:80", "\"\" is not an IPv6 address"},
      {"[127.0.0.1]:80", "\"127.0.0.1\" is not an IPv6 address"},
      {"[::g]:80", "\"::g\" is not an IPv6 address"},
      {std::string("[::1\0x]:80", 10), "is not an IPv6 address"},
      {"[fe80::1%]:80", "the scope id after % is missing"},
      {"[::1%lo]:80", "a scope id goes with a link-local address (fe80::) only"},
      {"[fe80::1%no-such-if]:80", "there is no network interface \"no-such-if\""},
      {"[fe80::1%0]:80", "there is no network interface \"0\""},
      {std::string("[fe80::1%lo\0x]:80", 16), "there is no network interface"},
      {"unix:", "the path after unix: is missing"},
      {"unix:@", "the name after unix:@ is missing"},
      {std::string("unix:/a\0b", 9), "a path cannot contain a NUL byte"},
      {"unix:/" + std::string(107, 'p'), "the path has 108 bytes, more than the 107 of a Unix"},
      {"unix:@" + std::string(108, 'n'), "the name has 108 bytes, more than the 107 of a Unix"},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<Address> address = Address::Parse(c.text);
    ASSERT_FALSE(address.ok()) << c.text;
    EXPECT_TRUE(absl::IsInvalidArgument(address.status())) << address.status();
    EXPECT_THAT(Message(address.status()), HasSubstr("address \"" + c.text + "\": "));
    EXPECT_THAT(Message(address.status()), HasSubstr(c.what)) << c.text;
  }
}

TEST(AddressTest, ScopeIdIsAnInterfaceByNameOrNumber) {
  const uint32_t loopback = if_nametoindex("lo");
  ASSERT_NE(loopback, 0u);
  const Address by_name = MustParse("[fe80::1%lo]:80");
  EXPECT_EQ(reinterpret_cast<const sockaddr_in6*>(by_name.data())->sin6_scope_id, loopback);
  EXPECT_TRUE(by_name == MustParse("[fe80::1%" + std::to_string(loopback) + "]:80"));

  // An interface that has gone keeps its number.
  const Address unknown = MustParse("[fe80::1%4000000000]:80");
  EXPECT_EQ(unknown.ToString(), "[fe80::1%4000000000]:80");
}

TEST(AddressTest, UnixNamesMayFillTheWholeAddress) {
  for (const std::string& text :
       {"unix:" + std::string(107, 'p'), "unix:@" + std::string(107, 'n')}) {
    const Address address = MustParse(text);
    EXPECT_EQ(address.ToString(), text);
    EXPECT_EQ(address.size(), sizeof(sockaddr_un));
  }
}

TEST(AddressTest, AbstractNamesMayContainAnyByte) {
  const std::string text("unix:@a\0b", 9);
  const Address address = MustParse(text);
  EXPECT_EQ(address.ToString(), text);
  EXPECT_FALSE(address == MustParse("unix:@a"));
}

TEST(AddressTest, FromSockaddrReadsUnixAddressesInEveryFormOfTheKernel) {
  // With and without the NUL, and with NULs to the end of the field, as programs pass to bind(2).
  for (const size_t nuls : {0, 1, 20}) {
    const absl::StatusOr<Address> address = FromUnixBytes("/run/a.sock" + std::string(nuls, '\0'));
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_TRUE(*address == MustParse("unix:/run/a.sock")) << nuls;
    EXPECT_EQ(address->unix_path(), "/run/a.sock");
  }
  // A path of 108 bytes has no room for the NUL; the kernel appends it beyond the structure.
  const std::string longest(108, 'p');
  for (const std::string& bytes : {longest, longest + '\0'}) {
    const absl::StatusOr<Address> address = FromUnixBytes(bytes);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->unix_path(), longest);
  }
  const absl::StatusOr<Address> unnamed = FromUnixBytes("");
  ASSERT_TRUE(unnamed.ok()) << unnamed.status();
  EXPECT_TRUE(unnamed->is_unix());
  EXPECT_EQ(unnamed->ToString(), "unix:");
  EXPECT_EQ(unnamed->unix_path(), "");

  // A file, not an abstract name.
  const absl::StatusOr<Address> at = FromUnixBytes("@file");
  ASSERT_TRUE(at.ok()) << at.status();
  EXPECT_EQ(at->ToString(), "unix:./@file");
}

TEST(AddressTest, FromSockaddrRefusesWhatItCannotHold) {
  sockaddr_storage storage{};
  const auto* address = reinterpret_cast<const sockaddr*>(&storage);
  EXPECT_TRUE(absl::IsInvalidArgument(Address::FromSockaddr(address, 0).status()));
  storage.ss_family = AF_INET;
  const absl::Status v4 = Address::FromSockaddr(address, sizeof(sockaddr_in) - 1).status();
  EXPECT_EQ(Message(v4), "socket address of family AF_INET has 15 bytes");
  storage.ss_family = AF_INET6;
  EXPECT_FALSE(Address::FromSockaddr(address, sizeof(sockaddr_in)).ok());
  storage.ss_family = AF_UNIX;
  EXPECT_FALSE(Address::FromSockaddr(address, sizeof(sockaddr_un) + 2).ok());
  storage.ss_family = AF_NETLINK;
  EXPECT_THAT(Message(Address::FromSockaddr(address, 12).status()),
              HasSubstr("is neither IPv4, IPv6 nor Unix"));
  // An abstract name with a byte beyond the structure.
  EXPECT_TRUE(FromUnixBytes(std::string(1, '\0') + std::string(107, 'n')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(
      FromUnixBytes(std::string(1, '\0') + std::string(108, 'n')).status()));
}

TEST(AddressTest, FromSockaddrDropsWhatIsNoPartOfTheAddress) {
  sockaddr_in v4{};
  std::memset(&v4, 0xff, sizeof(v4));
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto a = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
  ASSERT_TRUE(a.ok());
  EXPECT_TRUE(*a == MustParse("127.0.0.1:80"));

  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(80);
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_flowinfo = 7;
  v6.sin6_scope_id = 3;
  const auto b = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
  ASSERT_TRUE(b.ok());
  EXPECT_TRUE(*b == MustParse("[::1]:80"));
}

TEST(AddressTest, WithPortChangesThePortOnly) {
  EXPECT_TRUE(MustParse("127.0.0.1:0").WithPort(8080) == MustParse("127.0.0.1:8080"));
  EXPECT_TRUE(MustParse("[::1]:1").WithPort(0) == MustParse("[::1]:0"));
  EXPECT_TRUE(MustParse("unix:/a").WithPort(80) == MustParse("unix:/a"));
}

TEST(AddressTest, DifferentAddressesDiffer) {
  const std::vector<std::string> texts = {
      "127.0.0.1:80", "127.0.0.1:81",    "127.0.0.2:80", "[::1]:80", "[::2]:80",
      "[::1]:81",     "[fe80::1%lo]:80", "[fe80::1]:80", "unix:/a",  "unix:/ab",
      "unix:@a",      "unix:@ab",        "unix:a"};
  for (const std::string& a : texts) {
    for (const std::string& b : texts) {
      EXPECT_EQ(MustParse(a) == MustParse(b), a == b) << a << " and " << b;
    }
  }
}

}  // namespace
}  // namespace quintet
