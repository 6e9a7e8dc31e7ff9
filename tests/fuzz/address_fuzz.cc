// Address: what Parse() takes prints as a text that it takes for the same address; inet_pton(3)
// agrees with it about IP addresses; and what the kernel may have written, FromSockaddr() either
// refuses or makes an address of that prints and parses.
//
// Input: one octet, whose lowest bit says whether a text follows or the bytes of a sockaddr.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "net/address.h"
#include "tests/fuzz/cuts.h"

namespace quintet::testing {
namespace {

bool IsDecimal(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "HOST:PORT" of a family as inet_pton(3) and a look at each digit have it, without scope ids.
bool IsPlainIp(int family, std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view port = text.substr(colon + 1);
  if (!IsDecimal(port)) return false;
  port.remove_prefix(std::min(port.find_first_not_of('0'), port.size() - 1));
  if (port.size() > 5 || std::stoul(std::string(port)) > 65535) return false;
  std::string_view host = text.substr(0, colon);
  if (family == AF_INET6) {
    if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
    host = host.substr(1, host.size() - 2);
  }
  if (host.find('\0') != std::string_view::npos) return false;
  in6_addr address;
  return inet_pton(family, std::string(host).c_str(), &address) == 1;
}

void ExpectPrintsAndParses(const Address& address) {
  const std::string printed = address.ToString();
  const absl::StatusOr<Address> again = Address::Parse(printed);
  EXPECT_TRUE(again.ok()) << printed << ": " << again.status();
  EXPECT_TRUE(again.ok() && *again == address) << printed;
}

void TryText(std::string_view text) {
  const absl::StatusOr<Address> address = Address::Parse(text);
  const bool plain = IsPlainIp(AF_INET, text) || IsPlainIp(AF_INET6, text);
  if (!address.ok()) {
    EXPECT_FALSE(plain) << text << ": " << address.status();
    // A program that shows it to its user shows the text in it.
    EXPECT_NE(address.status().message().find("\"" + std::string(text) + "\""), std::string::npos)
        << address.status();
    return;
  }
  ExpectPrintsAndParses(*address);
  const absl::StatusOr<Address> kernel = Address::FromSockaddr(address->data(), address->size());
  EXPECT_TRUE(kernel.ok() && *kernel == *address) << text;
  EXPECT_EQ(address->is_unix(), text.starts_with("unix:")) << text;
  EXPECT_TRUE(address->WithPort(address->port()) == *address) << text;
  if (address->is_unix()) return;
  // The part behind '%' may be the name of an interface.
  EXPECT_TRUE(plain || text.find('%') != std::string_view::npos) << text;
  EXPECT_EQ(text.find('\0'), std::string_view::npos) << "what stands behind a NUL is not seen";
}

// The exceptions that Address::ToString() names.
bool PrintsForPeopleOnly(const Address& address) {
  constexpr size_t kMaxNameBytes = sizeof(sockaddr_un::sun_path) - 1;
  constexpr size_t kUnnamed = offsetof(sockaddr_un, sun_path);
  if (!address.is_unix()) return false;
  const std::string_view path = address.unix_path();
  const size_t name = path.size() + (path.starts_with('@') ? 2 : 0);
  return address.size() <= kUnnamed + 1 || name > kMaxNameBytes;
}

// What accept4(2) may have written: no longer than there is room for.
void TrySockaddr(std::string_view bytes) {
  sockaddr_storage storage{};
  const size_t size = std::min(bytes.size(), sizeof(storage));
  bytes.copy(reinterpret_cast<char*>(&storage), size);
  const absl::StatusOr<Address> address = Address::FromSockaddr(
      reinterpret_cast<const sockaddr*>(&storage), static_cast<socklen_t>(size));
  if (!address.ok()) return;
  EXPECT_EQ(address->family(), storage.ss_family);
  const absl::StatusOr<Address> again = Address::FromSockaddr(address->data(), address->size());
  EXPECT_TRUE(again.ok() && *again == *address) << address->ToString();
  if (PrintsForPeopleOnly(*address)) return;
  const std::string printed = address->ToString();
  const absl::StatusOr<Address> parsed = Address::Parse(printed);
  EXPECT_TRUE(parsed.ok()) << printed << ": " << parsed.status();
  if (!parsed.ok()) return;
  // "./" may have come in front of a path.
  if (address->unix_path().starts_with('@')) {
    EXPECT_EQ(parsed->unix_path(), "./" + std::string(address->unix_path()));
  } else {
    EXPECT_TRUE(*parsed == *address) << printed;
  }
}

}  // namespace
}  // namespace quintet::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quintet::testing;
  const std::string_view input = InputText(data, size);
  if (input.empty()) return 0;
  if ((input.front() & 1) != 0) {
    TrySockaddr(input.substr(1));
  } else {
    TryText(input.substr(1));
  }
  return 0;
}
