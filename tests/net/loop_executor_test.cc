#include "net/loop_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "tests/support/loop_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using ::testing::HasSubstr;

constexpr size_t kLimit = 4;

using LoopExecutorTest = LoopTest;
INSTANTIATE_TEST_SUITE_P(Backends, LoopExecutorTest, AllBackends(), KindName);

TEST_P(LoopExecutorTest, PostsUntilItIsClosed) {
  LoopExecutor executor(&loop());
  const auto token = std::make_shared<int>(0);
  int ran = 0;
  std::thread([&] {
    EXPECT_TRUE(executor.Post([token, &ran] { ++ran; }));
    EXPECT_TRUE(executor.TryPost([token, &ran] { ++ran; }, kLimit).ok());
  }).join();
  ASSERT_TRUE(TurnUntil([&] { return ran == 2; }));
  executor.Close();
  executor.Close();
  EXPECT_FALSE(executor.Post([token] { ADD_FAILURE(); }));
  EXPECT_EQ(executor.TryPost([token] { ADD_FAILURE(); }, kLimit).code(),
            absl::StatusCode::kUnavailable);
  DestroyLoop();
  EXPECT_FALSE(executor.Post([token] { ADD_FAILURE(); }));
  EXPECT_EQ(token.use_count(), 1) << "a refused task lives on";
}

TEST_P(LoopExecutorTest, WithoutALoopItIsClosed) {
  LoopExecutor executor(nullptr);
  EXPECT_FALSE(executor.Post([] { ADD_FAILURE(); }));
  EXPECT_EQ(executor.TryPost([] { ADD_FAILURE(); }, kLimit).code(), absl::StatusCode::kUnavailable);
  executor.Close();
}

TEST_P(LoopExecutorTest, AFullQueueSaysItsLimit) {
  LoopExecutor executor(&loop());
  const auto token = std::make_shared<int>(0);
  int ran = 0;
  const auto task = [&ran, token] { ++ran; };
  for (size_t i = 0; i < kLimit; ++i) EXPECT_TRUE(executor.TryPost(task, kLimit).ok());
  const long held = token.use_count();
  const absl::Status full = executor.TryPost(task, kLimit);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr(std::to_string(kLimit)));
  EXPECT_EQ(token.use_count(), held) << "the refused task lives on";
  EXPECT_TRUE(executor.Post(task)) << "has no bound";
  ASSERT_TRUE(TurnUntil([&] { return ran == static_cast<int>(kLimit) + 1; }));
  EXPECT_TRUE(executor.TryPost(task, 1).ok());
  executor.Close();
}

TEST_P(LoopExecutorTest, ARefusedTaskMayCloseIt) {
  LoopExecutor executor(&loop());
  auto close = absl::MakeCleanup([&] { executor.Close(); });
  EXPECT_FALSE(executor.TryPost([close = std::move(close)] { ADD_FAILURE(); }, 0).ok());
  EXPECT_FALSE(executor.Post([] {}));
}

// A callable that is moved on its way into the queue, and then stops for a while.
class StopsInside {
 public:
  struct Gate {
    std::atomic<int> moves_to_go = -1;  // until the one that stops; negative: none does
    std::atomic<bool> inside = false;
    std::atomic<bool> open = false;
  };

  explicit StopsInside(Gate* gate) : gate_(gate) {}
  StopsInside(StopsInside&& other) noexcept : gate_(other.gate_) {
    if (gate_->moves_to_go-- != 0) return;
    gate_->inside = true;
    gate_->inside.notify_one();
    gate_->open.wait(false);
  }
  void operator()() const {}

 private:
  Gate* gate_;
};

TEST_P(LoopExecutorTest, CloseWaitsForThoseInside) {
  LoopExecutor executor(&loop());
  StopsInside::Gate gate;
  std::thread poster([&] {
    Task task = StopsInside(&gate);
    gate.moves_to_go = 1;  // the first is that into the argument
    EXPECT_TRUE(executor.Post(std::move(task))) << "it did not stop inside";
  });
  gate.inside.wait(false);
  std::atomic<bool> closed = false;
  std::thread closer([&] {
    executor.Close();
    closed = true;
  });
  while (executor.Post([] {})) std::this_thread::yield();
  // Refused already; the end of Close() is not to come, so nothing can be waited for.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(closed);
  gate.open = true;
  gate.open.notify_one();
  closer.join();
  poster.join();
}

// Producers go on while the executor is closed and the loop destroyed under them: each task is
// refused or was taken in, none is lost or runs twice, and nobody touches the loop afterwards.
TEST_P(LoopExecutorTest, ClosesUnderManyProducers) {
  constexpr size_t kProducers = 3;
  constexpr int kMostAlive = 32;
  for (int round = 0; round < Scaled(100); ++round) {
    auto owned = MakeLoop();
    ASSERT_NE(owned, nullptr);
    LoopExecutor executor(owned.get());
    std::atomic<int> alive = 0;
    std::atomic<size_t> posting = 0;
    std::vector<int> ran(kProducers, 0);
    bool ordered = true;
    std::vector<std::thread> producers;
    for (size_t producer = 0; producer < kProducers; ++producer) {
      producers.emplace_back([&, producer] {
        int accepted = 0;
        bool told = false;
        for (bool open = true; open;) {
          ++alive;
          Task task = [&, producer, accepted, end = absl::MakeCleanup([&alive] { --alive; })] {
            ordered = ordered && ran[producer]++ == accepted;
          };
          if (producer == 0) {
            // Without a bound it would leave the others no room.
            while (alive > kMostAlive) std::this_thread::yield();
            open = executor.Post(std::move(task));
            accepted += open ? 1 : 0;
          } else {
            const absl::Status status = executor.TryPost(std::move(task), kMostAlive);
            open = status.code() != absl::StatusCode::kUnavailable;
            accepted += status.ok() ? 1 : 0;
            if (!status.ok()) std::this_thread::yield();
          }
          if (accepted > 0 && !std::exchange(told, true)) ++posting;
        }
      });
    }
    while (posting < kProducers) owned->RunOnce(std::chrono::milliseconds(1));
    for (int turn = 0; turn < round % 7; ++turn) owned->RunOnce(Duration::zero());
    executor.Close();
    owned.reset();
    for (std::thread& producer : producers) producer.join();
    EXPECT_TRUE(ordered);
    EXPECT_EQ(alive, 0) << "a task was lost";
  }
}

}  // namespace
}  // namespace quintet::testing
