#include "net/file_output.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "tests/support/memory_file.h"

namespace quintet::testing {
namespace {

class FileOutputTest : public ::testing::Test {
 protected:
  void TearDown() override {
    output.Clear(&pool);
    next.Clear(&pool);
  }
  std::string Pop() {
    output.Pop(next);
    std::string bytes(next.bytes().begin(), next.bytes().end());
    next.Clear(&pool);
    return bytes;
  }

  BlockPool pool;
  FileOutput output;
  ByteQueue next;
};

TEST_F(FileOutputTest, RangesInOrderEachWithTheBytesBehindIt) {
  const auto file = MakeFile("0123456789");
  output.AppendRange(file, 2, 3);
  output.Append("ab", pool);
  output.Append("c", pool);
  output.AppendRange(file, 7, 1);
  EXPECT_EQ(output.bytes(), 7U);
  EXPECT_GT(output.memory_bytes(), 3U);
  const FileRange& first = output.range();
  EXPECT_EQ(first, (FileRange{.fd = file->get(), .offset = 2, .length = 3}));
  output.Consume(1);
  output.AppendRange(file, 0, 10);
  EXPECT_EQ(&output.range(), &first) << "moved";
  EXPECT_EQ(first, (FileRange{.fd = file->get(), .offset = 3, .length = 2}));
  EXPECT_FALSE(output.sent());
  output.Consume(2);
  EXPECT_TRUE(output.sent());
  EXPECT_EQ(Pop(), "abc");
  EXPECT_EQ(output.range().offset, 7U);
  output.Consume(1);
  EXPECT_EQ(Pop(), "");
  EXPECT_EQ(output.bytes(), 10U);
  output.Consume(10);
  EXPECT_EQ(Pop(), "");
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(output.bytes(), 0U);
  EXPECT_EQ(output.memory_bytes(), 0U);
}

TEST_F(FileOutputTest, HoldsEachFileUntilItsRangeIsPopped) {
  const auto file = MakeFile("x");
  output.AppendRange(file, 0, 1);
  output.AppendRange(file, 0, 1);
  EXPECT_EQ(file.use_count(), 3);
  output.Consume(1);
  Pop();
  EXPECT_EQ(file.use_count(), 2);
  output.Clear(&pool);
  EXPECT_EQ(file.use_count(), 1);
}

TEST_F(FileOutputTest, WhatIsMissingIsToldOnceAndMadeUpByZeros) {
  const auto file = MakeFile("");
  constexpr uint64_t kLength = 100'000;
  output.AppendRange(file, 0, kLength);
  output.Append("behind", pool);
  output.Consume(1);
  EXPECT_FALSE(output.failed());
  EXPECT_FALSE(output.has_missing());
  output.Fail();
  EXPECT_TRUE(output.failed());
  EXPECT_TRUE(output.has_missing());
  EXPECT_EQ(output.TakeMissing(), kLength - 1);
  EXPECT_EQ(output.TakeMissing(), std::nullopt);
  uint64_t sent = 1;
  while (!output.sent()) {
    ASSERT_TRUE(output.failed());
    const iovec& zeros = output.zeros();
    ASSERT_GT(zeros.iov_len, 0U);
    const auto* bytes = static_cast<const char*>(zeros.iov_base);
    ASSERT_TRUE(std::all_of(bytes, bytes + zeros.iov_len, [](char c) { return c == 0; }));
    const size_t part = (zeros.iov_len + 1) / 2;
    output.Consume(part);
    sent += part;
  }
  EXPECT_EQ(sent, kLength);
  EXPECT_EQ(Pop(), "behind");
}

TEST_F(FileOutputTest, ClearedWithoutItsPool) {
  const auto file = MakeFile("x");
  output.AppendRange(file, 0, 1);
  output.Append("behind", pool);
  output.Fail();
  output.Clear(nullptr);
  EXPECT_TRUE(output.empty());
  EXPECT_FALSE(output.has_missing());
  EXPECT_EQ(output.bytes(), 0U);
  EXPECT_EQ(file.use_count(), 1);
}

}  // namespace
}  // namespace quintet::testing
