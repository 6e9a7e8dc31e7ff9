// Every interleaving of producers that push and wake with a consumer that takes, sleeps and is
// woken (promise 18). The code explored is Inbox, the whole of the protocol behind TaskQueue.
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "reactor/inbox.h"
#include "tests/reactor/interleaving_explorer.h"
#include "tests/support/sanitizers.h"

namespace quintet {
namespace {

using interleaving::Atomic;
using interleaving::InterleavingExplorer;
using interleaving::MemoryModel;
using interleaving::Plain;
using interleaving::Weakening;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kConsumer = 0;  // producers are threads 1, 2, ...

struct Node {
  Plain<Node*> next;
  Plain<int> content;
};

struct Scenario {
  int producers = 1;
  int posts_each = 1;
  // Something else, such as a socket, wakes the consumer once at any moment.
  bool other_wake = false;
  // Also check that no more wakes come than sleeps (multiplies the states).
  bool count_wakes = false;
  // What the protocol forbids, to see it found.
  bool block_without_sleep_mark = false;
  bool never_wake = false;
};

int Content(int producer, int post) { return 10 * (producer + 1) + post; }

InterleavingExplorer::Result Explore(const Scenario& scenario, MemoryModel model,
                                     Weakening weakening = {}) {
  InterleavingExplorer explorer(model, std::move(weakening));
  const int descriptor = explorer.NewVariable(0);  // the eventfd's counter
  const int wakes = explorer.NewVariable(0);
  Inbox<Node, Atomic> inbox;
  const int total = scenario.producers * scenario.posts_each;
  const auto nodes = std::make_unique<Node[]>(total);

  explorer.AddThread([&] {
    std::vector<int> next_post(scenario.producers, 0);
    uint64_t sleeps = 0;
    for (int taken = 0; taken < total;) {
      std::vector<uint64_t> locals(next_post.begin(), next_post.end());
      locals.push_back(sleeps);
      explorer.Checkpoint(locals);
      const bool may_block = inbox.TrySleep();
      if (may_block && scenario.count_wakes) ++sleeps;
      if (may_block || scenario.block_without_sleep_mark) {
        explorer.AwaitAndReset(descriptor);
        inbox.EndSleep();
      }
      std::vector<int> oldest_first;
      for (Node* node = inbox.TakeAll(); node != nullptr; node = node->next) {
        oldest_first.insert(oldest_first.begin(), node->content);
      }
      for (const int content : oldest_first) {
        const int producer = content / 10 - 1;
        if (producer < 0 || content % 10 != next_post[producer]++) {
          explorer.Fail("wrong task " + std::to_string(content));
          return;
        }
        ++taken;
      }
    }
    if (scenario.count_wakes && explorer.Load(wakes) > sleeps)
      explorer.Fail("more wakes than sleeps");
  });
  for (int producer = 0; producer < scenario.producers; ++producer) {
    explorer.AddThread([&, producer] {
      for (int post = 0; post < scenario.posts_each; ++post) {
        explorer.Checkpoint({static_cast<uint64_t>(post)});
        Node& node = nodes[producer * scenario.posts_each + post];
        node.content = Content(producer, post);
        if (inbox.Push(&node) && !scenario.never_wake) {
          if (scenario.count_wakes) explorer.Add(wakes, 1);
          explorer.Add(descriptor, 1);
        }
      }
    });
  }
  if (scenario.other_wake) {
    explorer.AddThread([&] { explorer.Add(descriptor, 1); });
  }
  return explorer.Run();
}

std::string ModelName(MemoryModel model) {
  switch (model) {
    case MemoryModel::kSequential:
      return "sequential";
    case MemoryModel::kTotalStore:
      return "total_store";
    case MemoryModel::kPartialStore:
      return "partial_store";
  }
  return "";
}

class SleepWakeModelTest : public ::testing::TestWithParam<MemoryModel> {};

INSTANTIATE_TEST_SUITE_P(All, SleepWakeModelTest,
                         ::testing::Values(MemoryModel::kSequential, MemoryModel::kTotalStore,
                                           MemoryModel::kPartialStore),
                         [](const auto& model) { return ModelName(model.param); });

TEST_P(SleepWakeModelTest, NoTaskAndNoWakeIsLost) {
  std::vector<Scenario> scenarios = {{.producers = 1, .posts_each = 1, .other_wake = true},
                                     {.producers = 1, .posts_each = 3, .other_wake = true},
                                     {.producers = 2, .posts_each = 1, .other_wake = true}};
  if (testing::kLoadDivisor <= 2) {
    scenarios.push_back({.producers = 2, .posts_each = 2});
    scenarios.push_back({.producers = 3, .posts_each = 1});
  }
  for (const Scenario& scenario : scenarios) {
    const auto result = Explore(scenario, GetParam());
    EXPECT_EQ(result.failure, "") << scenario.producers << " x " << scenario.posts_each;
    EXPECT_GT(result.states, 100u);
    std::cout << scenario.producers << " x " << scenario.posts_each << ": " << result.states
              << " states\n";
  }
}

TEST_P(SleepWakeModelTest, ASleeperIsWokenByOneProducer) {
  for (const Scenario& scenario :
       {Scenario{.producers = 1, .posts_each = 2, .other_wake = true, .count_wakes = true},
        Scenario{.producers = 2, .posts_each = 1, .other_wake = true, .count_wakes = true}}) {
    EXPECT_EQ(Explore(scenario, GetParam()).failure, "");
  }
}

// From here on: what the protocol consists of, taken away piece by piece.

TEST_P(SleepWakeModelTest, BlockingThoughThereIsSomethingIsFound) {
  const auto result = Explore({.block_without_sleep_mark = true}, GetParam());
  EXPECT_THAT(result.failure, StartsWith("asleep for ever"));
}

TEST_P(SleepWakeModelTest, AConsumerThatChecksAndThenMarksIsFound) {
  const auto result = Explore({}, GetParam(), {.split_threads = {kConsumer}});
  EXPECT_THAT(result.failure, StartsWith("asleep for ever"));
}

TEST_P(SleepWakeModelTest, AProducerThatChecksAndThenPushesIsFound) {
  const auto result = Explore({}, GetParam(), {.split_threads = {1}});
  EXPECT_THAT(result.failure, StartsWith("asleep for ever"));
}

TEST_P(SleepWakeModelTest, AProducerThatDoesNotWakeIsFound) {
  const auto result = Explore({.never_wake = true}, GetParam());
  EXPECT_THAT(result.failure, StartsWith("asleep for ever"));
}

TEST(SleepWakeOrderTest, APushWithoutReleaseIsFoundWhereStoresOvertake) {
  EXPECT_EQ(Explore({}, MemoryModel::kTotalStore, {.no_release = true}).failure, "");
  const auto result = Explore({}, MemoryModel::kPartialStore, {.no_release = true});
  EXPECT_THAT(result.failure, HasSubstr("wrong task 0"));
}

}  // namespace
}  // namespace quintet
