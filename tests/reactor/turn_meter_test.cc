// What a loop's turns cost those who wait, in virtual time: callbacks move the clock.
#include "reactor/turn_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/sim/sim_backend.h"
#include "reactor/sim/sim_network.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

// The simulator's time, and how often it was asked for.
class CountingClock final : public Clock {
 public:
  explicit CountingClock(Clock& clock) : clock_(clock) {}
  TimePoint Now() override {
    ++reads;
    return clock_.Now();
  }

  int reads = 0;

 private:
  Clock& clock_;
};

class TurnMeterTest : public ::testing::Test {
 protected:
  TurnMeterTest() { MakeLoop({}); }

  static EventLoopOptions WithThreshold(Duration stall_threshold) {
    EventLoopOptions options;
    options.stall_threshold = stall_threshold;
    return options;
  }
  static EventLoopOptions WithGauges(LoopGauges* gauges) {
    EventLoopOptions options;
    options.gauges = gauges;
    return options;
  }
  void MakeLoop(EventLoopOptions options) {
    options.backend.log = [this](LogLevel level, std::string_view line) {
      EXPECT_EQ(level, LogLevel::kWarning);
      log.emplace_back(line);
    };
    loop = nullptr;
    loop = EventLoop::CreateWith(std::make_unique<SimBackend>(network), clock, options);
  }

  void Block(Duration duration) { network.clock().AdvanceTo(network.Now() + duration); }
  uint64_t TurnsOf(Duration busy) { return loop->gauges().busy_turns[LoopGauges::BucketOf(busy)]; }
  // One callback, of a timer, that blocks.
  void StallOnce(Duration duration) {
    loop->RunAfter(Duration::zero(), [this, duration] { Block(duration); });
    loop->RunOnce(Duration::zero());
  }

  SimNetwork network;
  CountingClock clock{network.clock()};
  std::vector<std::string> log;
  std::unique_ptr<EventLoop> loop;
};

TEST_F(TurnMeterTest, AHandlerThatBlocksIsAStall) {
  loop->RunAfter(1ms, [this] { Block(50ms); });
  loop->RunAfter(200ms, [this] { Block(3us); });
  loop->RunAfter(300ms, [this] { loop->Stop(); });
  loop->Run();
  EXPECT_EQ(loop->gauges().stalls, 1U);
  EXPECT_EQ(loop->gauges().longest_ns, 50'000'000U);
  EXPECT_EQ(loop->gauges().turns(), 3U);
  EXPECT_EQ(TurnsOf(50ms), 1U);
  EXPECT_EQ(TurnsOf(3us), 1U);
  EXPECT_EQ(TurnsOf(0us), 1U);
  ASSERT_THAT(log, SizeIs(1));
  EXPECT_THAT(log[0], StartsWith("stall: "));
  EXPECT_THAT(log[0], HasSubstr("50 ms"));
  EXPECT_THAT(log[0], HasSubstr("threshold is 20 ms"));
  EXPECT_THAT(log[0], Not(HasSubstr("more since")));
}

TEST_F(TurnMeterTest, PostedAndDeferredTasksCount) {
  loop->Post([this] {
    Block(12ms);
    loop->Defer([this] { Block(13ms); });
  });
  loop->RunOnce(Duration::zero());
  EXPECT_EQ(loop->gauges().stalls, 1U);
  EXPECT_EQ(loop->gauges().longest_ns, 25'000'000U);
  EXPECT_EQ(loop->gauges().turns(), 1U);
}

// What runs after one wait and before the next keeps events waiting together.
TEST_F(TurnMeterTest, TimersAndTheTasksTheyPostAreOneSpan) {
  loop->RunAfter(1ms, [this] {
    Block(15ms);
    loop->Post([this] {
      Block(15ms);
      loop->Stop();
    });
  });
  loop->Run();
  EXPECT_EQ(loop->gauges().turns(), 1U);
  EXPECT_EQ(loop->gauges().longest_ns, 30'000'000U);
  EXPECT_EQ(loop->gauges().stalls, 1U);
}

TEST_F(TurnMeterTest, WhatHappensOutsideOfTurnsDoesNotCount) {
  for (int i = 0; i < 3; ++i) {
    loop->RunAfter(Duration::zero(), [] {});
    loop->RunOnce(Duration::zero());
    Block(1s);
    loop->Post([this] { loop->Stop(); });
    loop->Run();
    Block(1s);
  }
  EXPECT_EQ(loop->gauges().turns(), 6U);
  EXPECT_EQ(TurnsOf(0us), 6U);
  EXPECT_EQ(loop->gauges().stalls, 0U);
}

TEST_F(TurnMeterTest, AWaitIsNotBusy) {
  loop->RunAfter(1h, [this] { loop->Stop(); });
  loop->Run();
  EXPECT_EQ(loop->gauges().longest_ns, 0U);
  EXPECT_EQ(loop->gauges().stalls, 0U);
}

TEST_F(TurnMeterTest, TheClockIsReadOnceMoreWhereSomethingWasDone) {
  loop->RunOnce(Duration::zero());  // binds the thread
  clock.reads = 0;
  loop->RunOnce(Duration::zero());
  EXPECT_EQ(clock.reads, 1) << "after the wait";
  EXPECT_EQ(loop->gauges().turns(), 0U) << "nothing was done";
  loop->RunAt(kPollOnly, [] {});
  clock.reads = 0;
  loop->RunOnce(Duration::zero());
  EXPECT_EQ(clock.reads, 2) << "after the wait and at the end";
  loop->Post([] {});
  clock.reads = 0;
  loop->RunOnce(Duration::zero());
  EXPECT_EQ(clock.reads, 3) << "before the task, before and after the wait";
  EXPECT_EQ(loop->gauges().turns(), 2U);
}

TEST_F(TurnMeterTest, StallsAreLoggedAtALimitedRate) {
  for (int i = 0; i < 4; ++i) StallOnce(30ms);
  EXPECT_THAT(log, SizeIs(1));
  network.clock().AdvanceTo(network.Now() + TurnMeter::kLogPeriod);
  StallOnce(40ms);
  ASSERT_THAT(log, SizeIs(2));
  EXPECT_THAT(log[1], HasSubstr("40 ms"));
  EXPECT_THAT(log[1], HasSubstr("3 more since the last report"));
  EXPECT_EQ(loop->gauges().stalls, 5U);
}

TEST_F(TurnMeterTest, TheThresholdIsAChoice) {
  MakeLoop(WithThreshold(100ms));
  StallOnce(99ms);
  EXPECT_EQ(loop->gauges().stalls, 0U);
  StallOnce(100ms);
  EXPECT_EQ(loop->gauges().stalls, 1U);
  MakeLoop(WithThreshold(Duration::zero()));
  StallOnce(1h);
  EXPECT_EQ(loop->gauges().stalls, 0U);
  EXPECT_EQ(loop->gauges().turns(), 1U);
  EXPECT_THAT(log, SizeIs(1));
}

TEST_F(TurnMeterTest, GaugesMayBeTheCallersAndOutliveTheLoop) {
  LoopGauges gauges;
  MakeLoop(WithGauges(&gauges));
  EXPECT_EQ(&loop->gauges(), &gauges);
  StallOnce(50ms);
  MakeLoop(WithGauges(&gauges));
  StallOnce(50ms);
  loop = nullptr;
  EXPECT_EQ(gauges.stalls, 2U);
}

}  // namespace
}  // namespace quintet::testing
