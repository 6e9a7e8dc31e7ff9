#include "net/files/wire.h"

#include <gtest/gtest.h>

#include <string>

namespace quintet::files {
namespace {

using namespace std::string_literals;

TEST(WireTest, NumbersHaveTheHighestByteFirst) {
  std::string bytes;
  AppendNumber(uint8_t{0xf1}, bytes);
  AppendNumber(uint16_t{0x0102}, bytes);
  AppendNumber(uint32_t{0xf1f2f3f4}, bytes);
  AppendNumber(uint64_t{0x0102030405060708}, bytes);
  EXPECT_EQ(bytes, "\xf1\x01\x02\xf1\xf2\xf3\xf4\x01\x02\x03\x04\x05\x06\x07\x08"s);

  WireReader reader(bytes);
  EXPECT_EQ(reader.TakeNumber<uint8_t>(), 0xf1);
  EXPECT_EQ(reader.TakeNumber<uint16_t>(), 0x0102);
  EXPECT_EQ(reader.TakeNumber<uint32_t>(), 0xf1f2f3f4);
  EXPECT_FALSE(reader.Complete());
  EXPECT_EQ(reader.TakeNumber<uint64_t>(), 0x0102030405060708U);
  EXPECT_TRUE(reader.Complete());
}

TEST(WireReaderTest, NothingIsTakenBehindAFieldThatIsMissing) {
  WireReader reader("\x01\x02\x03");
  EXPECT_EQ(reader.Take(1), "\x01");
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.TakeNumber<uint32_t>(), 0U);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.TakeNumber<uint8_t>(), 0U);
  EXPECT_EQ(reader.Take(1), "");
  EXPECT_EQ(reader.TakeRest(), "");
  EXPECT_EQ(reader.TakeArray<2>(), (std::array<unsigned char, 2>{}));
  EXPECT_FALSE(reader.Complete());
}

TEST(WireReaderTest, TheRestMayBeEmpty) {
  WireReader reader("ab");
  EXPECT_EQ(reader.TakeArray<2>(), (std::array<unsigned char, 2>{'a', 'b'}));
  EXPECT_EQ(reader.TakeRest(), "");
  EXPECT_TRUE(reader.Complete());
}

}  // namespace
}  // namespace quintet::files
