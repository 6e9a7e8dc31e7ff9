// Promise 24: stalls are visible: a handler that blocks shows in the histogram of busy turns, in
// the count of stalls, and in the log.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::StartsWith;

constexpr Duration kBlock = 50ms;
constexpr Duration kThreshold = 20ms;

// Turns as long as `busy` at least, as far as the buckets tell.
uint64_t TurnsFrom(const ShardStats& stats, Duration busy) {
  const auto first = stats.busy_turns.begin() + static_cast<ptrdiff_t>(LoopGauges::BucketOf(busy));
  return std::accumulate(first, stats.busy_turns.end(), uint64_t{0});
}

ScriptedSession::Script BlockWhenAsked() {
  return {.on_data = [](ScriptedSession& session, std::string_view bytes) {
    if (bytes.front() == 'b') std::this_thread::sleep_for(kBlock);
    session.transport().Write(bytes);
    return bytes.size();
  }};
}

class StallsVisibleTest : public PromiseTest {
 protected:
  ServerOptions Options() {
    ServerOptions options;
    options.loop.stall_threshold = kThreshold;
    options.loop.backend.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard<std::mutex> lock(mutex);
      log.emplace_back(line);
    };
    return options;
  }

  std::mutex mutex;
  std::vector<std::string> log;
};

TEST_P(StallsVisibleTest, AHandlerThatBlocks) {
  ScriptedFactory factory(BlockWhenAsked());
  RunningServer server(GetParam(), factory, Options());
  Fd client = server.Connect();
  ASSERT_TRUE(SendAll(client.get(), "a"));
  ASSERT_EQ(ReceiveExactly(client.get(), 1), "a");
  const ShardStats before = server.server().Stats()[0];  // no stall but where the machine stalls
  ASSERT_TRUE(SendAll(client.get(), "b"));
  ASSERT_EQ(ReceiveExactly(client.get(), 1), "b");
  client.Reset();
  server.Stop();
  const ShardStats after = server.server().Stats()[0];
  EXPECT_GE(after.stalls, before.stalls + 1);
  EXPECT_GE(TurnsFrom(after, kBlock), TurnsFrom(before, kBlock) + 1);
  EXPECT_GE(after.longest_turn, kBlock);
  EXPECT_GE(TurnsFrom(after, Duration::zero()), 2U);
  EXPECT_THAT(log, Contains(StartsWith("stall: ")));
}

INSTANTIATE_TEST_SUITE_P(Backends, StallsVisibleTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
