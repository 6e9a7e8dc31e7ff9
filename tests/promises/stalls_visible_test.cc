// Promise 24: stalls are visible: a handler that blocks shows in the histogram of busy turns, in
// the count of stalls, and in the log.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
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
uint64_t TurnsFrom(const LoopGauges& gauges, Duration busy) {
  uint64_t turns = 0;
  for (size_t bucket = LoopGauges::BucketOf(busy); bucket < LoopGauges::kBuckets; ++bucket) {
    turns += gauges.busy_turns[bucket];
  }
  return turns;
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
    options.loop.gauges = &gauges;  // of its one shard
    options.loop.backend.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard<std::mutex> lock(mutex);
      log.emplace_back(line);
    };
    return options;
  }

  LoopGauges gauges;
  std::mutex mutex;
  std::vector<std::string> log;
};

TEST_P(StallsVisibleTest, AHandlerThatBlocks) {
  ScriptedFactory factory(BlockWhenAsked());
  RunningServer server(GetParam(), factory, Options());
  Fd client = server.Connect();
  ASSERT_TRUE(SendAll(client.get(), "a"));
  ASSERT_EQ(ReceiveExactly(client.get(), 1), "a");
  const uint64_t stalls_before = gauges.stalls;  // 0 but where the machine itself stalls
  const uint64_t long_before = TurnsFrom(gauges, kBlock);
  ASSERT_TRUE(SendAll(client.get(), "b"));
  ASSERT_EQ(ReceiveExactly(client.get(), 1), "b");
  client.Reset();
  server.Stop();
  EXPECT_GE(gauges.stalls, stalls_before + 1);
  EXPECT_GE(TurnsFrom(gauges, kBlock), long_before + 1);
  EXPECT_GE(gauges.longest_ns, static_cast<uint64_t>(kBlock.count()));
  EXPECT_GE(gauges.turns(), 2U);
  EXPECT_THAT(log, Contains(StartsWith("stall: ")));
}

INSTANTIATE_TEST_SUITE_P(Backends, StallsVisibleTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
