#include "reactor/loop_gauges.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <thread>

#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kThreshold = 20ms;

TEST(LoopGaugesTest, BucketsArePowersOfTwoOfMicroseconds) {
  EXPECT_EQ(LoopGauges::BucketOf(0ns), 0U);
  EXPECT_EQ(LoopGauges::BucketOf(999ns), 0U);
  EXPECT_EQ(LoopGauges::BucketOf(1us), 1U);
  EXPECT_EQ(LoopGauges::BucketOf(1999ns), 1U);
  EXPECT_EQ(LoopGauges::BucketOf(2us), 2U);
  EXPECT_EQ(LoopGauges::BucketOf(3us), 2U);
  EXPECT_EQ(LoopGauges::BucketOf(4us), 3U);
  EXPECT_EQ(LoopGauges::BucketOf(1h), LoopGauges::kBuckets - 1);
  EXPECT_EQ(LoopGauges::BucketOf(Duration::max()), LoopGauges::kBuckets - 1);
  EXPECT_EQ(LoopGauges::BucketFloor(0), 0ns);
  for (size_t bucket = 1; bucket < LoopGauges::kBuckets; ++bucket) {
    const Duration floor = LoopGauges::BucketFloor(bucket);
    EXPECT_EQ(LoopGauges::BucketOf(floor), bucket);
    EXPECT_EQ(LoopGauges::BucketOf(floor - 1ns), bucket - 1);
  }
}

TEST(LoopGaugesTest, CountsTurnsAndStalls) {
  LoopGauges gauges;
  EXPECT_FALSE(gauges.Record(kThreshold - 1ns, kThreshold));
  EXPECT_EQ(gauges.stalls, 0U);
  EXPECT_TRUE(gauges.Record(kThreshold, kThreshold));
  EXPECT_TRUE(gauges.Record(50ms, kThreshold));
  EXPECT_FALSE(gauges.Record(5us, kThreshold));
  EXPECT_FALSE(gauges.Record(0s, kThreshold));
  EXPECT_EQ(gauges.turns(), 5U);
  EXPECT_EQ(gauges.stalls, 2U);
  EXPECT_EQ(gauges.longest_ns, 50'000'000U);
  EXPECT_EQ(gauges.busy_turns[0], 1U);
  EXPECT_EQ(gauges.busy_turns[LoopGauges::BucketOf(5us)], 1U);
  EXPECT_EQ(gauges.busy_turns[LoopGauges::BucketOf(kThreshold)], 2U);
  EXPECT_EQ(gauges.busy_turns[LoopGauges::BucketOf(50ms)], 1U);
}

TEST(LoopGaugesTest, AnyThreadReadsWhileOneWrites) {
  LoopGauges gauges;
  const int turns = Scaled(100'000);
  std::atomic<bool> written = false;
  std::thread reader([&] {
    uint64_t last = 0;
    while (!written) {
      const uint64_t now = gauges.turns();
      EXPECT_GE(now, last);
      last = now;
    }
  });
  for (int turn = 0; turn < turns; ++turn) gauges.Record(std::chrono::microseconds(turn), 1ms);
  written = true;
  reader.join();
  EXPECT_EQ(gauges.turns(), static_cast<uint64_t>(turns));
}

// A supervisor reads what its workers write; a worker that takes the place of another counts on.
TEST(LoopGaugesTest, LiesInMemoryThatProcessesShare) {
  void* const memory = ::mmap(nullptr, sizeof(LoopGauges), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const gauges = new (memory) LoopGauges;
  for (int worker = 0; worker < 2; ++worker) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      gauges->Record(50ms, kThreshold);
      ::_exit(0);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0);
  }
  EXPECT_EQ(gauges->turns(), 2U);
  EXPECT_EQ(gauges->stalls, 2U);
  EXPECT_EQ(gauges->busy_turns[LoopGauges::BucketOf(50ms)], 2U);
  ::munmap(memory, sizeof(LoopGauges));
}

}  // namespace
}  // namespace quintet::testing
