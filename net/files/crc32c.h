// The checksum of the files protocol.
#ifndef QUINTET_NET_FILES_CRC32C_H_
#define QUINTET_NET_FILES_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace quintet::files {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, going on from that of what came before;
// that of nothing is 0. Any thread; of any length.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t before = 0);
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_CRC32C_H_
