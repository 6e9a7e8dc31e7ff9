#include "reactor/timer_wheel.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace quintet {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint kStart{hours(1000)};
constexpr size_t kNoLimit = SIZE_MAX;

class CallingTimer final : public Timer {
 public:
  explicit CallingTimer(std::function<void(TimePoint)> callback) : callback_(std::move(callback)) {}

 private:
  void OnTimer(TimePoint now) override {
    // A copy, since the timer may be destroyed by what it calls.
    const std::function<void(TimePoint)> callback = callback_;
    callback(now);
  }

  std::function<void(TimePoint)> callback_;
};

struct Counts {
  int fired = 0;
  int early = 0;
  int late = 0;
};

class CountingTimer final : public Timer {
 public:
  Counts* counts;
  TimePoint expected;

 private:
  void OnTimer(TimePoint now) override {
    ++counts->fired;
    counts->early += now < expected ? 1 : 0;
    counts->late += now > expected + TimerWheel::kTick ? 1 : 0;
  }
};

class TimerWheelTest : public ::testing::Test {
 protected:
  // A timer that notes its name when it fires.
  std::unique_ptr<CallingTimer> Noting(std::string name) {
    return std::make_unique<CallingTimer>(
        [this, name](TimePoint /*now*/) { fired_.push_back(name); });
  }

  size_t Fire(TimePoint now, size_t limit = kNoLimit) {
    const size_t count = wheel_.FireExpired(now, limit);
    wheel_.Validate();
    return count;
  }

  TimerWheel wheel_{kStart};
  std::vector<std::string> fired_;
};

TEST_F(TimerWheelTest, FiresAtTheFirstTickNotBeforeTheExpiry) {
  const auto timer = Noting("a");
  const TimePoint expiry = kStart + milliseconds(10);
  wheel_.Start(*timer, expiry);
  EXPECT_TRUE(timer->armed());
  EXPECT_EQ(timer->expiry(), expiry);

  EXPECT_EQ(Fire(expiry - Duration(1)), 0u);
  EXPECT_EQ(Fire(expiry + TimerWheel::kTick), 1u);
  EXPECT_THAT(fired_, ElementsAre("a"));
  EXPECT_FALSE(timer->armed());
  EXPECT_EQ(timer->expiry(), kNever);
  EXPECT_EQ(Fire(expiry + hours(1)), 0u);
}

TEST_F(TimerWheelTest, NextWakeupIsWhenALoneTimerFires) {
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
  for (const Duration delay : {Duration(1), Duration(milliseconds(1)), Duration(seconds(1)),
                               Duration(hours(1)), Duration(hours(100'000))}) {
    const auto timer = Noting("a");
    wheel_.Start(*timer, kStart + delay);
    const TimePoint wakeup = wheel_.NextWakeup();
    EXPECT_GE(wakeup, timer->expiry());
    EXPECT_LT(wakeup, timer->expiry() + TimerWheel::kTick);
  }
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
}

TEST_F(TimerWheelTest, FarTimersCostOneWakeupPerLevelAtMost) {
  const auto first = Noting("first");
  const auto second = Noting("second");
  const TimePoint expiry = kStart + hours(24 * 365 * 100);
  wheel_.Start(*first, expiry);
  wheel_.Start(*second, expiry);
  int wakeups = 0;
  while (fired_.empty()) {
    Fire(wheel_.NextWakeup());
    ++wakeups;
  }
  EXPECT_LE(wakeups, 8);
  EXPECT_THAT(fired_, ElementsAre("first", "second"));
}

TEST_F(TimerWheelTest, PastTimesFireInTheNextCallInTheOrderOfStarting) {
  const auto a = Noting("a");
  const auto b = Noting("b");
  const auto c = Noting("c");
  wheel_.Start(*a, kStart);
  wheel_.Start(*b, kStart - hours(1));
  wheel_.Start(*c, TimePoint::min());
  EXPECT_LE(wheel_.NextWakeup(), kStart);
  EXPECT_EQ(Fire(kStart), 3u);
  EXPECT_THAT(fired_, ElementsAre("a", "b", "c"));
}

TEST_F(TimerWheelTest, NeverIsArmedAndDoesNotFire) {
  const auto timer = Noting("a");
  wheel_.Start(*timer, kNever);
  EXPECT_TRUE(timer->armed());
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
  EXPECT_EQ(Fire(TimePoint::max()), 0u);
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
  TimerWheel::Cancel(*timer);
  EXPECT_FALSE(timer->armed());
}

TEST_F(TimerWheelTest, WorksOverAllOfTime) {
  TimerWheel wheel(TimePoint::min());
  int fired = 0;
  std::vector<std::unique_ptr<CallingTimer>> timers;
  const std::vector<int64_t> times = {
      INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX / 2, INT64_MAX - (int64_t{1} << 21)};
  for (const int64_t ns : times) {
    const TimePoint expiry{Duration(ns)};
    timers.push_back(std::make_unique<CallingTimer>([&fired, expiry](TimePoint now) {
      EXPECT_GE(now, expiry);
      ++fired;
    }));
    wheel.Start(*timers.back(), expiry);
    wheel.Validate();
  }
  for (TimePoint now = wheel.NextWakeup(); now != kNever; now = wheel.NextWakeup()) {
    wheel.FireExpired(now, kNoLimit);
    wheel.Validate();
  }
  EXPECT_EQ(fired, static_cast<int>(times.size()));
}

TEST_F(TimerWheelTest, StartInPlaceOfAnEarlierExpiry) {
  const auto timer = Noting("a");
  wheel_.Start(*timer, kStart + seconds(1));
  wheel_.Start(*timer, kStart + seconds(2));
  EXPECT_EQ(Fire(kStart + milliseconds(1999)), 0u);
  wheel_.Start(*timer, kStart + milliseconds(2500));
  EXPECT_EQ(Fire(kStart + milliseconds(2499)), 0u);
  EXPECT_EQ(Fire(kStart + milliseconds(2502)), 1u);
}

TEST_F(TimerWheelTest, CancelAndDestruction) {
  auto cancelled = Noting("cancelled");
  auto destroyed = Noting("destroyed");
  wheel_.Start(*cancelled, kStart + seconds(1));
  wheel_.Start(*destroyed, kStart + seconds(1));
  TimerWheel::Cancel(*cancelled);
  TimerWheel::Cancel(*cancelled);
  EXPECT_FALSE(cancelled->armed());
  destroyed.reset();
  wheel_.Validate();
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
  EXPECT_EQ(Fire(kStart + hours(1)), 0u);
  wheel_.Start(*cancelled, kStart + hours(2));
  EXPECT_EQ(Fire(kStart + hours(3)), 1u);
}

TEST_F(TimerWheelTest, EqualExpiriesFireInTheOrderOfStartingWhateverLevelTheyBeganOn) {
  const TimePoint expiry = kStart + hours(24 * 30);
  std::vector<std::unique_ptr<CallingTimer>> timers;
  std::vector<std::string> started;
  // Each further timer starts 0.7 times nearer to the expiry.
  for (Duration left = hours(24 * 30); left > TimerWheel::kTick; left = left * 7 / 10) {
    Fire(expiry - left);
    started.push_back(std::to_string(left.count()));
    timers.push_back(Noting(started.back()));
    wheel_.Start(*timers.back(), expiry);
  }
  ASSERT_GT(started.size(), 50u);
  EXPECT_THAT(fired_, IsEmpty());
  Fire(expiry + TimerWheel::kTick);
  EXPECT_EQ(fired_, started);
}

TEST_F(TimerWheelTest, TheLimitLeavesTheRestDue) {
  const auto a = Noting("a");
  const auto b = Noting("b");
  const auto c = Noting("c");
  const auto late = Noting("late");
  const TimePoint expiry = kStart + seconds(1);
  for (CallingTimer* timer : {a.get(), b.get(), c.get()}) wheel_.Start(*timer, expiry);
  const TimePoint now = expiry + seconds(1);
  EXPECT_EQ(Fire(now, 0), 0u);
  EXPECT_EQ(Fire(now, 1), 1u);
  EXPECT_LE(wheel_.NextWakeup(), now);
  EXPECT_TRUE(b->armed());
  TimerWheel::Cancel(*b);
  wheel_.Start(*late, expiry);  // past by now: behind what is due already
  EXPECT_EQ(Fire(now, 1), 1u);
  EXPECT_EQ(Fire(now, 5), 1u);
  EXPECT_THAT(fired_, ElementsAre("a", "c", "late"));
  EXPECT_EQ(wheel_.NextWakeup(), kNever);
}

TEST_F(TimerWheelTest, ATimerStartedInACallbackFiresInALaterCall) {
  const auto other = Noting("other");
  std::unique_ptr<CallingTimer> timer;
  timer = std::make_unique<CallingTimer>([&](TimePoint now) {
    fired_.push_back("self");
    wheel_.Start(*timer, now - seconds(1));
    if (fired_.size() == 1) wheel_.Start(*other, now);
  });
  wheel_.Start(*timer, kStart);
  EXPECT_EQ(Fire(kStart), 1u);
  EXPECT_EQ(Fire(kStart), 2u);
  EXPECT_THAT(fired_, ElementsAre("self", "self", "other"));
  EXPECT_LE(wheel_.NextWakeup(), kStart);
}

TEST_F(TimerWheelTest, ACallbackMayDestroyItsTimerAndOthersOfTheSameBatch) {
  auto next = Noting("next");
  auto last = Noting("last");
  auto cancelled = Noting("cancelled");
  std::unique_ptr<CallingTimer> first;
  first = std::make_unique<CallingTimer>([&](TimePoint /*now*/) {
    next.reset();
    TimerWheel::Cancel(*cancelled);
    first.reset();
  });
  const TimePoint expiry = kStart + seconds(1);
  for (CallingTimer* timer : {first.get(), next.get(), cancelled.get(), last.get()}) {
    wheel_.Start(*timer, expiry);
  }
  EXPECT_EQ(Fire(kStart + seconds(2)), 2u);
  EXPECT_THAT(fired_, ElementsAre("last"));
}

TEST_F(TimerWheelTest, AnExceptionLeavesTheRestDue) {
  CallingTimer throwing([](TimePoint /*now*/) { throw std::runtime_error("thrown by a timer"); });
  const auto before = Noting("before");
  const auto after = Noting("after");
  for (Timer* timer : std::initializer_list<Timer*>{before.get(), &throwing, after.get()}) {
    wheel_.Start(*timer, kStart + seconds(1));
  }
  const TimePoint now = kStart + seconds(2);
  EXPECT_THROW(wheel_.FireExpired(now, kNoLimit), std::runtime_error);
  wheel_.Validate();
  EXPECT_FALSE(throwing.armed());
  EXPECT_LE(wheel_.NextWakeup(), now);
  EXPECT_EQ(Fire(now), 1u);
  EXPECT_THAT(fired_, ElementsAre("before", "after"));
}

TEST_F(TimerWheelTest, AClockThatStandsStillOrStepsBackFiresNothing) {
  const auto timer = Noting("a");
  Fire(kStart + seconds(10));
  wheel_.Start(*timer, kStart + seconds(11));
  EXPECT_EQ(Fire(kStart + seconds(10)), 0u);
  EXPECT_EQ(Fire(kStart), 0u);
  EXPECT_EQ(Fire(kStart + seconds(12)), 1u);
}

TEST_F(TimerWheelTest, TheEndOfTheWheelDisarms) {
  const auto near = Noting("near");
  const auto far = Noting("far");
  const auto due = Noting("due");
  {
    TimerWheel wheel(kStart);
    wheel.Start(*near, kStart + milliseconds(5));
    wheel.Start(*far, kStart + hours(5));
    wheel.Start(*due, kStart);
  }
  EXPECT_FALSE(near->armed());
  EXPECT_FALSE(far->armed());
  EXPECT_FALSE(due->armed());
}

TEST_F(TimerWheelTest, AMillionTimers) {
  constexpr int kTimers = 1'000'000;
  Counts counts;
  std::mt19937_64 random(1);
  std::vector<CountingTimer> timers(kTimers);
  for (CountingTimer& timer : timers) {
    timer.counts = &counts;
    timer.expected = kStart + Duration(random() % Duration(hours(1)).count());
    wheel_.Start(timer, timer.expected);
  }
  wheel_.Validate();
  for (int i = 0; i < kTimers; i += 2) TimerWheel::Cancel(timers[i]);
  wheel_.Validate();
  for (TimePoint now = wheel_.NextWakeup(); now != kNever; now = wheel_.NextWakeup()) {
    wheel_.FireExpired(now, kNoLimit);
  }
  EXPECT_EQ(counts.fired, kTimers / 2);
  EXPECT_EQ(counts.early, 0);
  EXPECT_EQ(counts.late, 0);
}

TEST_F(TimerWheelTest, ValidateFindsATimerInTheWrongPlace) {
  const auto timer = Noting("a");
  wheel_.Start(*timer, kStart + seconds(1));
  const TimePoint other = kStart + hours(1);
  // The expiry is the last member of Timer.
  std::memcpy(
      reinterpret_cast<char*>(static_cast<Timer*>(timer.get())) + sizeof(Timer) - sizeof(other),
      &other, sizeof(other));
  ASSERT_EQ(timer->expiry(), other);
  EXPECT_DEATH(wheel_.Validate(), "contradicts itself: a timer on the wrong level");
}

}  // namespace
}  // namespace quintet
