#include "apps/files/resolve.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "net/files/path.h"

namespace quintet::files::app {

absl::StatusOr<std::vector<Address>> Resolve(const std::string& text) {
  absl::StatusOr<Address> numeric = Address::Parse(text);
  if (numeric.ok()) return std::vector<Address>{*std::move(numeric)};
  const size_t colon = text.rfind(':');
  const std::string name = text.substr(0, colon);
  uint32_t port = 0;
  // What has a colon or a bracket in its name was meant as an address.
  if (colon == std::string::npos || name.empty() ||
      name.find_first_of("[]:/ ") != std::string::npos ||
      std::all_of(name.begin(), name.end(),
                  [](char c) { return c == '.' || (c >= '0' && c <= '9'); }) ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port == 0 || port > 65535) {
    return numeric.status();
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat(SafeText(name), ": ", ::gai_strerror(error)));
  }
  std::vector<Address> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    absl::StatusOr<Address> address = Address::FromSockaddr(entry->ai_addr, entry->ai_addrlen);
    if (address.ok()) addresses.push_back(address->WithPort(static_cast<uint16_t>(port)));
  }
  if (addresses.empty()) return absl::UnavailableError(SafeText(name) + ": has no address");
  return addresses;
}

}  // namespace quintet::files::app
