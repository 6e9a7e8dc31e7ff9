#include "net/byte_queue.h"

#include <gtest/gtest.h>

#include <string>

#include "reactor/sim/sim_random.h"

namespace quintet {
namespace {

std::string Content(const ByteQueue& queue) {
  return std::string(queue.bytes().data(), queue.size());
}

TEST(ByteQueueTest, AppendsAndConsumesInOrder) {
  BlockPool pool;
  ByteQueue queue;
  EXPECT_TRUE(queue.empty());
  queue.Append("hello ", pool);
  queue.Append("", pool);
  queue.Append("world", pool);
  EXPECT_EQ(Content(queue), "hello world");
  queue.Consume(6, &pool);
  EXPECT_EQ(Content(queue), "world");
  queue.Consume(5, &pool);
  EXPECT_TRUE(queue.empty());
}

TEST(ByteQueueTest, HoldsABlockOnlyWhileItHoldsBytes) {
  BlockPool pool;
  ByteQueue queue;
  queue.Append("x", pool);
  EXPECT_EQ(pool.kept_bytes(), 0U);
  queue.Consume(1, &pool);
  EXPECT_EQ(pool.kept_bytes(), BlockPool::kSmallest);
  queue.Append("y", pool);
  EXPECT_EQ(pool.kept_bytes(), 0U);
  queue.Clear(&pool);
  EXPECT_EQ(pool.kept_bytes(), BlockPool::kSmallest);
}

TEST(ByteQueueTest, WithoutItsPoolTheBlockIsFreed) {
  ByteQueue queue;
  {
    BlockPool pool;
    queue.Append("x", pool);
  }
  queue.Clear(nullptr);
  EXPECT_TRUE(queue.empty());
}

TEST(ByteQueueTest, AppendMovesNothingWhileThereIsRoom) {
  BlockPool pool;
  ByteQueue queue;
  queue.Append("abc", pool);
  const char* const shown = queue.bytes().data();
  queue.Append(std::string(BlockPool::kSmallest - 3, 'x'), pool);
  EXPECT_EQ(queue.bytes().data(), shown);
  queue.Clear(&pool);
}

TEST(ByteQueueTest, CompactsInsteadOfGrowing) {
  BlockPool pool;
  ByteQueue queue;
  queue.Append(std::string(BlockPool::kSmallest, 'a'), pool);
  queue.Consume(BlockPool::kSmallest - 10, &pool);
  queue.Append(std::string(100, 'b'), pool);
  EXPECT_EQ(Content(queue), std::string(10, 'a') + std::string(100, 'b'));
  queue.Clear(&pool);
  EXPECT_EQ(pool.kept_bytes(), BlockPool::kSmallest);  // no larger block was ever taken
}

// Else a queue that is consumed and filled by the byte would move all its bytes each time.
TEST(ByteQueueTest, GrowsWithRoomAheadWhereCompactingGainsLittle) {
  BlockPool pool;
  ByteQueue queue;
  queue.Append(std::string(BlockPool::kSmallest, 'a'), pool);
  queue.Consume(10, &pool);
  queue.Append("b", pool);
  EXPECT_EQ(Content(queue), std::string(BlockPool::kSmallest - 10, 'a') + "b");
  EXPECT_EQ(pool.kept_bytes(), BlockPool::kSmallest) << "where is the first block?";
  queue.Clear(&pool);
  EXPECT_EQ(pool.kept_bytes(), 3 * BlockPool::kSmallest) << "the second is twice as large";
}

TEST(ByteQueueTest, SwapExchangesContents) {
  BlockPool pool;
  ByteQueue a;
  ByteQueue b;
  a.Append("a", pool);
  swap(a, b);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(Content(b), "a");
  b.Clear(&pool);
}

TEST(ByteQueueTest, AgreesWithAString) {
  BlockPool pool;
  ByteQueue queue;
  std::string model;
  SimRandom random(7);
  for (int i = 0; i < 20'000; ++i) {
    if (random.Chance(500)) {
      const std::string bytes(random.Below(random.Chance(20) ? 100'000 : 3000),
                              static_cast<char>('a' + random.Below(26)));
      queue.Append(bytes, pool);
      model += bytes;
    } else {
      const size_t count = random.Below(model.size() + 1);
      queue.Consume(count, &pool);
      model.erase(0, count);
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_TRUE(Content(queue) == model) << "after step " << i;
  }
  queue.Clear(&pool);
}

}  // namespace
}  // namespace quintet
