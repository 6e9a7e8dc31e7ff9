#include "net/files/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace quintet::files {
namespace {

// At most this much in one call: crc32_iscsi() takes an int.
constexpr size_t kCallBytes = size_t{1} << 30;

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
  // crc32_iscsi() is the division alone. Inverting the register before and after, as RFC 3720 asks
  // for, is left to its caller; so going on from a value that was inverted inverts it back.
  uint32_t crc = ~before;
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kCallBytes);
    // It does not write; the parameter lacks the const.
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(size), crc);
    bytes.remove_prefix(size);
  }
  return ~crc;
}

uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t before) {
  return Crc32c({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, before);
}

}  // namespace quintet::files
