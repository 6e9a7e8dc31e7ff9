#include "net/files/token_bucket.h"

#include <gtest/gtest.h>

#include <chrono>

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using files::TokenBucket;

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST(TokenBucketTest, WithoutARateItIsAlwaysOpen) {
  TokenBucket bucket(0);
  bucket.Take(kStart, UINT64_MAX);
  EXPECT_TRUE(bucket.Open(kStart));
}

TEST(TokenBucketTest, HoldsToTheRate) {
  TokenBucket bucket(1000);
  EXPECT_TRUE(bucket.Open(kStart));
  bucket.Take(kStart, 1000);  // what it holds
  EXPECT_TRUE(bucket.Open(kStart));
  bucket.Take(kStart, 500);
  EXPECT_FALSE(bucket.Open(kStart));
  EXPECT_GE(bucket.OpensAt(), kStart + 500ms);
  EXPECT_LE(bucket.OpensAt(), kStart + 501ms);
  EXPECT_FALSE(bucket.Open(kStart + 499ms));
  EXPECT_TRUE(bucket.Open(bucket.OpensAt()));
}

TEST(TokenBucketTest, FillsToASecondOfTheRate) {
  TokenBucket bucket(1000);
  bucket.Take(kStart, 1000);
  EXPECT_TRUE(bucket.Open(kStart + 1h));
  bucket.Take(kStart + 1h, 1001);
  EXPECT_FALSE(bucket.Open(kStart + 1h));
}

TEST(TokenBucketTest, OpensWhenItSays) {
  for (const uint64_t rate : {1ULL, 3ULL, 7777ULL, 123'456'789ULL, 100'000'000'000ULL}) {
    TokenBucket bucket(rate);
    TimePoint now = kStart;
    for (int i = 0; i < 100; ++i) {
      bucket.Take(now, 1 + rate * 3 / 2 + static_cast<uint64_t>(i));
      ASSERT_FALSE(bucket.Open(now));
      now = bucket.OpensAt();
      ASSERT_TRUE(bucket.Open(now)) << rate << " " << i;
    }
  }
}

TEST(TokenBucketTest, FarAway) {
  TokenBucket bucket(1);
  bucket.Take(kStart, UINT64_MAX / 2);
  EXPECT_FALSE(bucket.Open(kStart));
  EXPECT_EQ(bucket.OpensAt(), kNever);
}

}  // namespace
}  // namespace quintet::testing
