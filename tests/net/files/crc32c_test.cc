#include "net/files/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>
#include <span>
#include <string>
#include <string_view>

namespace quintet::files {
namespace {

// RFC 3720 appendix B.4. It lists the four bytes as iSCSI sends them, the lowest first.
TEST(Crc32cTest, OfTheVectorsOfRfc3720) {
  std::string rising(32, '\0');
  std::iota(rising.begin(), rising.end(), '\0');
  std::string falling(rising.rbegin(), rising.rend());
  std::string read_command(48, '\0');  // an iSCSI SCSI Read (10) command PDU
  read_command[0] = '\x01';
  read_command[1] = '\xc0';
  read_command[16] = '\x14';
  read_command[22] = '\x04';
  read_command[27] = '\x14';
  read_command[31] = '\x18';
  read_command[32] = '\x28';
  read_command[40] = '\x02';

  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(Crc32c(rising), 0x46dd794eU);
  EXPECT_EQ(Crc32c(falling), 0x113fdb5cU);
  EXPECT_EQ(Crc32c(read_command), 0xd9963a56U);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
}

TEST(Crc32cTest, OfNothingIsWhatWasBefore) {
  EXPECT_EQ(Crc32c(""), 0U);
  EXPECT_EQ(Crc32c(std::string_view()), 0U);
  EXPECT_EQ(Crc32c("", 0x12345678), 0x12345678U);
}

// Long enough for each way in which the library reads: tables, wide registers, several at once.
TEST(Crc32cTest, GoesOnFromWhatCameBefore) {
  std::string bytes(5000, '\0');
  uint32_t random = 1;
  for (char& byte : bytes) {
    random = random * 1664525 + 1013904223;
    byte = static_cast<char>(random >> 24);
  }
  const uint32_t whole = Crc32c(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::string_view view = bytes;
    ASSERT_EQ(Crc32c(view.substr(cut), Crc32c(view.substr(0, cut))), whole) << cut;
  }
  uint32_t one_by_one = 0;
  for (const char& byte : bytes) one_by_one = Crc32c({&byte, 1}, one_by_one);
  EXPECT_EQ(one_by_one, whole);
}

TEST(Crc32cTest, BytesAndCharactersAreTheSame) {
  const std::string text = "123456789";
  EXPECT_EQ(Crc32c(std::as_bytes(std::span(text))), Crc32c(text));
}

}  // namespace
}  // namespace quintet::files
