#include "net/block_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace quintet {
namespace {

TEST(BlockPoolTest, GivesPowersOfTwoFromTheSmallestOn) {
  BlockPool pool;
  for (const auto& [bytes, capacity] : {std::pair<size_t, size_t>{0, 4096},
                                        {1, 4096},
                                        {4096, 4096},
                                        {4097, 8192},
                                        {256 << 10, 256 << 10},
                                        {(256 << 10) + 1, 512 << 10}}) {
    const Block block = pool.Take(bytes);
    EXPECT_EQ(block.capacity, capacity) << bytes;
    std::memset(block.data, 1, block.capacity);
    pool.Give(block);
  }
}

TEST(BlockPoolTest, UsesTheBlockFreedLastFirst) {
  BlockPool pool;
  const Block a = pool.Take(1);
  const Block b = pool.Take(1);
  pool.Give(a);
  pool.Give(b);
  EXPECT_EQ(pool.kept_bytes(), 2 * BlockPool::kSmallest);
  const Block again = pool.Take(100);
  EXPECT_EQ(again.data, b.data);
  const Block first = pool.Take(BlockPool::kSmallest);
  EXPECT_EQ(first.data, a.data);
  EXPECT_EQ(pool.kept_bytes(), 0U);
  pool.Give(again);
  pool.Give(first);
}

TEST(BlockPoolTest, ABlockServesItsOwnSizeOnly) {
  BlockPool pool;
  const Block small = pool.Take(1);
  pool.Give(small);
  const Block large = pool.Take(BlockPool::kSmallest + 1);
  EXPECT_NE(large.data, small.data);
  EXPECT_EQ(pool.kept_bytes(), BlockPool::kSmallest);
  pool.Give(large);
}

TEST(BlockPoolTest, KeepsABoundedAmountOfEachSize) {
  BlockPool pool;
  std::vector<Block> blocks;
  for (size_t bytes = 0; bytes < 2 * BlockPool::kKeptBytesPerSize; bytes += BlockPool::kSmallest) {
    blocks.push_back(pool.Take(1));
  }
  for (const Block& block : blocks) pool.Give(block);
  EXPECT_EQ(pool.kept_bytes(), BlockPool::kKeptBytesPerSize);
}

TEST(BlockPoolTest, LargeBlocksAreNotKept) {
  BlockPool pool;
  pool.Give(pool.Take(BlockPool::kLargestKept + 1));
  EXPECT_EQ(pool.kept_bytes(), 0U);
  pool.Give(pool.Take(BlockPool::kLargestKept));
  EXPECT_EQ(pool.kept_bytes(), BlockPool::kLargestKept);
}

TEST(BlockPoolTest, NothingIsTakenBackGladly) {
  BlockPool pool;
  pool.Give({});
  BlockPool::Free({});
  EXPECT_EQ(pool.kept_bytes(), 0U);
}

}  // namespace
}  // namespace quintet
