#include "reactor/timer_table.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace quintet {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr Duration kOnce{0};
constexpr TimePoint kStart{hours(1000)};

class TimerTableTest : public ::testing::Test {
 protected:
  size_t FireAt(TimePoint now) {
    const size_t fired = wheel_.FireExpired(now, SIZE_MAX);
    wheel_.Validate();
    return fired;
  }
  // Lets time pass from wake-up to wake-up until nothing happens before `end`.
  void RunUntil(TimePoint end) {
    while (wheel_.NextWakeup() <= end) {
      now_ = std::max(now_, wheel_.NextWakeup());
      FireAt(now_);
    }
    now_ = end;
  }
  Task Count() {
    return [this] { ++count_; };
  }

  TimerWheel wheel_{kStart};
  TimerTable table_{wheel_};
  TimePoint now_ = kStart;
  int count_ = 0;
};

TEST_F(TimerTableTest, RunsATaskOnceAndNotEarly) {
  const TimerHandle handle = table_.Add(kStart + seconds(1), kOnce, Count());
  EXPECT_EQ(table_.size(), 1u);
  RunUntil(kStart + milliseconds(999));
  EXPECT_EQ(count_, 0);
  RunUntil(kStart + hours(1));
  EXPECT_EQ(count_, 1);
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_FALSE(table_.Cancel(handle));
}

TEST_F(TimerTableTest, Cancel) {
  const TimerHandle handle = table_.Add(kStart + seconds(1), kOnce, Count());
  EXPECT_TRUE(table_.Cancel(handle));
  EXPECT_FALSE(table_.Cancel(handle));
  EXPECT_FALSE(table_.Cancel(TimerHandle()));
  // As an old handle looks after 2^32 timers on its record.
  EXPECT_FALSE(table_.Cancel({handle.index, handle.generation + 1}));
  RunUntil(kStart + hours(1));
  EXPECT_EQ(count_, 0);
}

TEST_F(TimerTableTest, AStaleHandleDoesNotReachTheNextTimerOfItsRecord) {
  const TimerHandle cancelled = table_.Add(kStart + seconds(1), kOnce, Count());
  table_.Cancel(cancelled);
  const TimerHandle fired = table_.Add(kStart + seconds(1), kOnce, Count());
  EXPECT_EQ(fired.index, cancelled.index);
  RunUntil(kStart + seconds(2));
  const TimerHandle next = table_.Add(kStart + seconds(3), kOnce, Count());
  EXPECT_EQ(next.index, cancelled.index);
  EXPECT_FALSE(table_.Cancel(cancelled));
  EXPECT_FALSE(table_.Cancel(fired));
  RunUntil(kStart + seconds(4));
  EXPECT_EQ(count_, 2);
}

TEST_F(TimerTableTest, CancelDestroysTheTask) {
  const auto alive = std::make_shared<int>();
  const TimerHandle handle = table_.Add(kStart, kOnce, [alive] {});
  const TimerHandle periodic = table_.Add(kStart, seconds(1), [alive] {});
  EXPECT_EQ(alive.use_count(), 3);
  table_.Cancel(handle);
  EXPECT_EQ(alive.use_count(), 2);
  FireAt(kStart);
  EXPECT_EQ(alive.use_count(), 2);
  table_.Cancel(periodic);
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(TimerTableTest, APeriodicTimerKeepsItsPhase) {
  std::vector<Duration> at;
  table_.Add(kStart + seconds(1), milliseconds(300), [&] { at.push_back(now_ - kStart); });
  RunUntil(kStart + seconds(1) + milliseconds(900) + TimerWheel::kTick);
  ASSERT_EQ(at.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    const Duration due = seconds(1) + i * milliseconds(300);
    EXPECT_GE(at[i], due);
    EXPECT_LT(at[i], due + TimerWheel::kTick);
  }
}

TEST_F(TimerTableTest, MissedPeriodsAreSkipped) {
  table_.Add(kStart + seconds(1), seconds(1), Count());
  const TimePoint woken = kStart + hours(24) + milliseconds(500);
  EXPECT_EQ(FireAt(woken), 1u);
  EXPECT_EQ(FireAt(woken), 0u);
  EXPECT_EQ(FireAt(woken + milliseconds(499)), 0u);
  EXPECT_EQ(FireAt(woken + milliseconds(502)), 1u);
  EXPECT_EQ(count_, 2);
}

TEST_F(TimerTableTest, APeriodicTimerThatIsExactlyOnTimeWaitsAWholePeriod) {
  const TimePoint due{4'000'000'000 * TimerWheel::kTick};
  table_.Add(due, 10 * TimerWheel::kTick, Count());
  EXPECT_EQ(FireAt(due), 1u);
  EXPECT_EQ(FireAt(due + 9 * TimerWheel::kTick), 0u);
  EXPECT_EQ(FireAt(due + 11 * TimerWheel::kTick), 1u);
}

TEST_F(TimerTableTest, ExtremeTimes) {
  const TimerHandle since_ever = table_.Add(TimePoint::min(), Duration(7), Count());
  table_.Add(kStart, Duration::max(), Count());
  table_.Add(kNever, kOnce, Count());
  table_.Add(kNever, Duration(1), Count());
  EXPECT_EQ(FireAt(kStart), 2u);
  EXPECT_EQ(FireAt(kStart + TimerWheel::kTick), 1u);
  EXPECT_TRUE(table_.Cancel(since_ever));
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
  EXPECT_EQ(table_.size(), 3u);
}

TEST_F(TimerTableTest, ThePhaseHoldsOverMoreThanADurationHolds) {
  // TimePoint::min() lies 145.2 ms after a full second.
  table_.Add(TimePoint::min(), seconds(1), Count());
  EXPECT_EQ(FireAt(kStart), 1u);
  EXPECT_EQ(FireAt(kStart + milliseconds(145)), 0u);
  EXPECT_EQ(FireAt(kStart + milliseconds(147)), 1u);
}

TEST_F(TimerTableTest, APeriodicTimerMayCancelItselfWhileItsTaskRuns) {
  TimerHandle handle;
  const auto alive = std::make_shared<int>();
  handle = table_.Add(kStart, seconds(1), [&, alive] {
    EXPECT_TRUE(table_.Cancel(handle));
    EXPECT_FALSE(table_.Cancel(handle));
    EXPECT_EQ(alive.use_count(), 2) << "the running task was destroyed";
    ++count_;
  });
  RunUntil(kStart + seconds(10));
  EXPECT_EQ(count_, 1);
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(TimerTableTest, ARecordReusedFromInsideItsOldTaskKeepsTheNewOne) {
  TimerHandle handle;
  handle = table_.Add(kStart, seconds(1), [&] {
    table_.Cancel(handle);
    const TimerHandle next = table_.Add(kStart + seconds(1), seconds(1), Count());
    EXPECT_EQ(next.index, handle.index);
  });
  RunUntil(kStart + milliseconds(3500));
  EXPECT_EQ(count_, 3);
}

TEST_F(TimerTableTest, AOneShotTimerIsOverWhenItsTaskRuns) {
  TimerHandle handle;
  handle = table_.Add(kStart, kOnce, [&] {
    EXPECT_FALSE(table_.Cancel(handle));
    handle = table_.Add(kStart + seconds(1), kOnce, Count());
  });
  RunUntil(kStart);
  EXPECT_EQ(count_, 0);
  RunUntil(kStart + seconds(2));
  EXPECT_EQ(count_, 1);
}

TEST_F(TimerTableTest, ATaskMayCancelOthersOfTheSameBatch) {
  std::vector<TimerHandle> handles;
  for (int i = 0; i < 4; ++i) {
    handles.push_back(table_.Add(kStart + seconds(1), i % 2 == 0 ? kOnce : seconds(1), [&] {
      ++count_;
      for (const TimerHandle handle : handles) table_.Cancel(handle);
    }));
  }
  RunUntil(kStart + seconds(10));
  EXPECT_EQ(count_, 1);
  EXPECT_EQ(table_.size(), 0u);
}

TEST_F(TimerTableTest, AnExceptionEndsAOneShotAndKeepsAPeriodic) {
  const auto throws = [this] {
    ++count_;
    throw std::runtime_error("thrown by a task");
  };
  table_.Add(kStart, kOnce, throws);
  EXPECT_THROW(FireAt(kStart), std::runtime_error);
  EXPECT_EQ(table_.size(), 0u);
  table_.Add(kStart, seconds(1), throws);
  EXPECT_THROW(FireAt(kStart), std::runtime_error);
  EXPECT_THROW(FireAt(kStart + seconds(2)), std::runtime_error);
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(count_, 3);
}

TEST_F(TimerTableTest, RecordsAreReused) {
  for (int i = 0; i < 1000; ++i) {
    const TimerHandle a = table_.Add(now_ + seconds(1), kOnce, Count());
    const TimerHandle b = table_.Add(now_ + seconds(1), kOnce, Count());
    EXPECT_LT(a.index, 2u);
    EXPECT_LT(b.index, 2u);
    table_.Cancel(a);
    RunUntil(now_ + seconds(2));
  }
  EXPECT_EQ(count_, 1000);
}

TEST_F(TimerTableTest, ClearDestroysTasksThatUseTheTable) {
  const auto alive = std::make_shared<int>();
  const TimerHandle other = table_.Add(kStart, kOnce, [alive] {});
  auto cancels = absl::MakeCleanup([&] { table_.Cancel(other); });
  auto adds = absl::MakeCleanup([&] { table_.Add(kStart, kOnce, [alive] {}); });
  table_.Add(kStart, kOnce, [cancels = std::move(cancels)] {});
  table_.Add(kStart, kOnce, [adds = std::move(adds)] {});
  table_.Add(kStart, seconds(1), [alive] {});
  table_.Clear();
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_EQ(alive.use_count(), 1);
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
}

TEST_F(TimerTableTest, TheEndDisarms) {
  auto table = std::make_unique<TimerTable>(wheel_);
  table->Add(kStart, kOnce, Count());
  table->Add(kStart, seconds(1), Count());
  table.reset();
  EXPECT_EQ(FireAt(kStart + hours(1)), 0u);
  EXPECT_EQ(count_, 0);
}

}  // namespace
}  // namespace quintet
