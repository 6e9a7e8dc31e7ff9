#include "reactor/task_queue.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/sanitizers.h"

namespace quintet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using TryPushResult = TaskQueue::TryPushResult;

void RunTask(Task& task) { task(); }

class TaskQueueTest : public ::testing::Test {
 protected:
  Task Note(int value) {
    return [this, value] { ran_.push_back(value); };
  }

  TaskQueue queue_;
  std::vector<int> ran_;
};

TEST_F(TaskQueueTest, RunsInOrder) {
  EXPECT_EQ(queue_.RunBatch(RunTask), 0u);
  for (int i = 1; i <= 3; ++i) EXPECT_FALSE(queue_.Push(Note(i)));
  EXPECT_EQ(queue_.RunBatch(RunTask), 3u);
  EXPECT_THAT(ran_, ElementsAre(1, 2, 3));
  EXPECT_EQ(queue_.RunBatch(RunTask), 0u);
}

TEST_F(TaskQueueTest, ATaskPushedFromATaskWaitsForTheNextBatch) {
  static_cast<void>(queue_.Push([this] {
    ran_.push_back(1);
    static_cast<void>(queue_.Push(Note(3)));
  }));
  static_cast<void>(queue_.Push(Note(2)));
  EXPECT_EQ(queue_.RunBatch(RunTask), 2u);
  EXPECT_THAT(ran_, ElementsAre(1, 2));
  EXPECT_EQ(queue_.RunBatch(RunTask), 1u);
  EXPECT_THAT(ran_, ElementsAre(1, 2, 3));
}

TEST_F(TaskQueueTest, WhatIsBehindATaskThatThrewRunsNextTime) {
  static_cast<void>(queue_.Push(Note(1)));
  static_cast<void>(queue_.Push([] { throw std::runtime_error("thrown by a task"); }));
  static_cast<void>(queue_.Push(Note(2)));
  static_cast<void>(queue_.Push(Note(3)));
  EXPECT_THROW(queue_.RunBatch(RunTask), std::runtime_error);
  EXPECT_THAT(ran_, ElementsAre(1));
  EXPECT_FALSE(queue_.PrepareToSleep());
  static_cast<void>(queue_.Push(Note(4)));
  static_cast<void>(queue_.Push(Note(5)));
  EXPECT_EQ(queue_.RunBatch(RunTask), 4u);
  EXPECT_THAT(ran_, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_TRUE(queue_.PrepareToSleep());
}

TEST_F(TaskQueueTest, ATaskIsDestroyedOnceItRan) {
  const auto alive = std::make_shared<int>();
  static_cast<void>(queue_.Push([alive] {}));
  static_cast<void>(queue_.Push([&alive] { EXPECT_EQ(alive.use_count(), 1); }));
  EXPECT_EQ(alive.use_count(), 2);
  queue_.RunBatch(RunTask);
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(TaskQueueTest, TheEndDestroysWhatDidNotRun) {
  const auto alive = std::make_shared<int>();
  {
    TaskQueue queue;
    static_cast<void>(queue.Push([] { throw std::runtime_error("thrown by a task"); }));
    static_cast<void>(queue.Push([alive] {}));
    EXPECT_THROW(queue.RunBatch(RunTask), std::runtime_error);
    auto pushes = absl::MakeCleanup([&] { static_cast<void>(queue.Push([alive] {})); });
    static_cast<void>(queue.Push([pushes = std::move(pushes)] {}));
    static_cast<void>(queue.Push([alive] {}));
    EXPECT_EQ(alive.use_count(), 3);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(TaskQueueTest, TheEndWhileAsleep) {
  TaskQueue queue;
  EXPECT_TRUE(queue.PrepareToSleep());
}

TEST_F(TaskQueueTest, ASleeperIsWokenOnce) {
  EXPECT_FALSE(queue_.Push(Note(1)));
  EXPECT_FALSE(queue_.PrepareToSleep());
  queue_.RunBatch(RunTask);
  EXPECT_TRUE(queue_.PrepareToSleep());
  EXPECT_TRUE(queue_.Push(Note(2)));
  EXPECT_FALSE(queue_.Push(Note(3)));
  queue_.FinishSleep();
  EXPECT_FALSE(queue_.Push(Note(4)));
  queue_.RunBatch(RunTask);
  EXPECT_THAT(ran_, ElementsAre(1, 2, 3, 4));

  EXPECT_TRUE(queue_.PrepareToSleep());
  queue_.FinishSleep();  // woken by something else
  EXPECT_FALSE(queue_.Push(Note(5)));
  EXPECT_FALSE(queue_.PrepareToSleep());
}

TEST_F(TaskQueueTest, RunningABatchEndsASleep) {
  EXPECT_TRUE(queue_.PrepareToSleep());
  EXPECT_EQ(queue_.RunBatch(RunTask), 0u);
  EXPECT_FALSE(queue_.Push(Note(1)));
}

TEST_F(TaskQueueTest, TheBoundCountsWhatWaits) {
  EXPECT_EQ(queue_.TryPush(Note(0), 0), TryPushResult::kFull);
  EXPECT_EQ(queue_.waiting(), 0u);
  EXPECT_EQ(queue_.TryPush(Note(1), 2), TryPushResult::kPushed);
  static_cast<void>(queue_.Push(Note(2)));  // counts, and is not bounded
  EXPECT_EQ(queue_.TryPush(Note(0), 2), TryPushResult::kFull);
  EXPECT_EQ(queue_.TryPush(Note(3), 3), TryPushResult::kPushed);
  static_cast<void>(queue_.Push(Note(4)));
  EXPECT_EQ(queue_.TryPush(Note(0), 3), TryPushResult::kFull);
  EXPECT_EQ(queue_.waiting(), 4u);
  EXPECT_EQ(queue_.RunBatch(RunTask), 4u);
  EXPECT_THAT(ran_, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(queue_.waiting(), 0u);
  EXPECT_EQ(queue_.TryPush(Note(5), 1), TryPushResult::kPushed);
}

TEST_F(TaskQueueTest, ATaskThatRunsDoesNotWaitAndThoseBehindItDo) {
  static_cast<void>(queue_.Push([this] {
    EXPECT_EQ(queue_.waiting(), 1u);
    EXPECT_EQ(queue_.TryPush(Note(0), 1), TryPushResult::kFull);
  }));
  static_cast<void>(queue_.Push([this] {
    EXPECT_EQ(queue_.waiting(), 0u);
    EXPECT_EQ(queue_.TryPush(Note(1), 1), TryPushResult::kPushed);
    throw std::runtime_error("thrown by a task");
  }));
  EXPECT_THROW(queue_.RunBatch(RunTask), std::runtime_error);
  EXPECT_EQ(queue_.waiting(), 1u);
  queue_.RunBatch(RunTask);
  EXPECT_THAT(ran_, ElementsAre(1));
}

TEST_F(TaskQueueTest, ARefusedTaskStaysWithItsOwner) {
  Task task = Note(1);
  EXPECT_EQ(queue_.TryPush(std::move(task), 0), TryPushResult::kFull);
  ASSERT_TRUE(task != nullptr);  // NOLINT(bugprone-use-after-move)
  task();
  EXPECT_THAT(ran_, ElementsAre(1));
  EXPECT_TRUE(queue_.PrepareToSleep());
}

TEST_F(TaskQueueTest, ABoundedPushWakesTheSleeperToo) {
  EXPECT_TRUE(queue_.PrepareToSleep());
  EXPECT_EQ(queue_.TryPush(Note(0), 0), TryPushResult::kFull);
  EXPECT_EQ(queue_.TryPush(Note(1), 2), TryPushResult::kPushedWake);
  EXPECT_EQ(queue_.TryPush(Note(2), 2), TryPushResult::kPushed);
}

// Nobody takes anything: whoever gets there first, the limit is met and not passed.
TEST_F(TaskQueueTest, ManyProducersFillTheQueueToTheLimit) {
  constexpr size_t kLimit = 500;
  constexpr int kProducers = 3;
  for (int round = 0; round < testing::Scaled(1000); ++round) {
    TaskQueue queue;
    std::atomic<int> ready = 0;
    std::atomic<size_t> pushed = 0;
    std::vector<std::thread> threads;
    for (int producer = 0; producer < kProducers; ++producer) {
      threads.emplace_back([&] {
        // At the same time, so that they meet at the limit.
        for (++ready; ready < kProducers;) std::this_thread::yield();
        while (queue.TryPush([] {}, kLimit) != TryPushResult::kFull) ++pushed;
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(pushed, kLimit);
    ASSERT_EQ(queue.RunBatch(RunTask), kLimit);
  }
}

// While tasks are taken: never more than the limit, and each that was taken in runs, in order.
TEST_F(TaskQueueTest, TheBoundHoldsWhileTasksAreTaken) {
  constexpr size_t kLimit = 8;
  constexpr int kProducers = 3;
  const int pushes_each = testing::Scaled(20'000);
  std::vector<int> next(kProducers, 0);
  std::atomic<int> ended = 0;
  std::atomic<uint64_t> pushed = 0;
  bool ordered = true;
  std::vector<std::thread> threads;
  for (int producer = 0; producer < kProducers; ++producer) {
    threads.emplace_back([&, producer] {
      for (int push = 0; push < pushes_each;) {
        const auto result = queue_.TryPush(
            [&, producer, push] { ordered = ordered && next[producer]++ == push; }, kLimit);
        if (result == TryPushResult::kFull) {
          std::this_thread::yield();
          continue;
        }
        ++push;
        ++pushed;
      }
      ++ended;
    });
  }
  uint64_t ran = 0;
  size_t most = 0;
  const auto run = [&] {
    ran += queue_.RunBatch([&](Task& task) {
      most = std::max(most, queue_.waiting());
      task();
    });
  };
  while (ended < kProducers) run();
  for (std::thread& thread : threads) thread.join();
  run();
  EXPECT_LE(most, kLimit);
  EXPECT_TRUE(ordered);
  EXPECT_EQ(ran, pushed);
  EXPECT_EQ(ran, static_cast<uint64_t>(kProducers) * static_cast<uint64_t>(pushes_each));
}

// `nap`: how long the consumer sleeps at most before it looks by itself, which sets the end of a
// sleep against pushes; without it a lost wake ends the test.
void PostFromManyThreads(int producers, uint32_t posts_each, bool nap) {
  TaskQueue queue;
  std::counting_semaphore<> wake_descriptor(0);
  std::vector<uint32_t> next(producers, 0);
  uint64_t out_of_order = 0;
  uint64_t wakes_sent = 0;  // each producer adds its own before it ends
  std::vector<uint64_t> wakes_of(producers, 0);

  std::vector<std::thread> threads;
  for (int producer = 0; producer < producers; ++producer) {
    threads.emplace_back([&, producer] {
      for (uint32_t post = 0; post < posts_each; ++post) {
        const bool wake = queue.Push([&, producer, post] {
          out_of_order += next[producer] == post ? 0 : 1;
          ++next[producer];
        });
        if (wake) {
          ++wakes_of[producer];
          wake_descriptor.release();
        }
      }
    });
  }

  const uint64_t total = uint64_t{posts_each} * static_cast<uint64_t>(producers);
  uint64_t ran = 0;
  uint64_t sleeps = 0;
  while (ran < total) {
    ran += queue.RunBatch(RunTask);
    if (ran == total || !queue.PrepareToSleep()) continue;
    ++sleeps;
    const bool woken = wake_descriptor.try_acquire_for(nap ? std::chrono::microseconds(1)
                                                           : std::chrono::seconds(60));
    queue.FinishSleep();
    if (!woken && !nap) break;
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(ran, total) << "a wake was lost";
  EXPECT_EQ(out_of_order, 0u);
  for (const uint32_t count : next) EXPECT_EQ(count, posts_each);
  for (const uint64_t wakes : wakes_of) wakes_sent += wakes;
  if (nap) {
    EXPECT_LE(wakes_sent, sleeps);
  } else {
    EXPECT_EQ(wakes_sent, sleeps);
  }
  ::testing::Test::RecordProperty("sleeps", static_cast<int>(sleeps));
}

constexpr uint32_t kPosts = testing::Scaled(10'000'000);

TEST_F(TaskQueueTest, TenMillionPostsOfFourThreads) { PostFromManyThreads(4, kPosts / 4, false); }

TEST_F(TaskQueueTest, PostsOfOneThread) { PostFromManyThreads(1, kPosts / 4, false); }

TEST_F(TaskQueueTest, PostsWhileSomethingElseEndsTheSleep) {
  PostFromManyThreads(3, kPosts / 12, true);
}

}  // namespace
}  // namespace quintet
