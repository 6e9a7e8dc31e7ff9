// TimerWheel against a sorted map: random starts, cancels, destructions and steps of the clock,
// from outside and from inside callbacks.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "gtest/gtest.h"
#include "reactor/timer_wheel.h"
#include "tests/support/sanitizers.h"

namespace quintet {
namespace {

constexpr int kTickShift = 20;
constexpr size_t kTimers = 64;
constexpr int kStepsPerRun = 1500;
// Sums of this and of a few delays still fit.
constexpr TimePoint kLastStart{Duration(int64_t{1} << 61)};
constexpr int kMaxDelayBits = 60;  // 36 years

int64_t FloorTick(TimePoint time) { return time.time_since_epoch().count() >> kTickShift; }
int64_t CeilTick(TimePoint time) { return -(-time.time_since_epoch().count() >> kTickShift); }
TimePoint TickTime(int64_t tick) { return TimePoint(Duration(tick << kTickShift)); }

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed), now_(RandomStart()), wheel_(now_) {
    for (size_t i = 0; i < kTimers; ++i) timers_[i] = std::make_unique<SimTimer>(*this, i);
  }

  void Run() {
    for (int i = 0; i < kStepsPerRun && now_ < kLastStart; ++i) {
      Step();
      CheckNextWakeup();
      wheel_.Validate();
      if (::testing::Test::HasFailure()) return;
    }
    // From wake-up to wake-up until nothing is left.
    act_in_callbacks_ = false;
    for (int wakeups = 0; !expected_.empty() && !::testing::Test::HasFailure(); ++wakeups) {
      ASSERT_LT(wakeups, 10'000);
      now_ = std::max(now_, wheel_.NextWakeup());
      Fire(SIZE_MAX);
    }
  }

 private:
  // Tick of firing, then order of starting.
  using Key = std::pair<int64_t, uint64_t>;

  class SimTimer final : public Timer {
   public:
    SimTimer(Simulation& simulation, size_t index) : simulation_(simulation), index_(index) {}
    Key key;

   private:
    void OnTimer(TimePoint now) override { simulation_.OnFired(index_, now); }
    Simulation& simulation_;
    const size_t index_;
  };
  struct Expected {
    size_t index;
    TimePoint expiry;
    int started_in_call;  // the FireExpired() from inside which it was started, or 0
  };

  uint64_t Below(uint64_t bound) { return random_() % bound; }

  TimePoint RandomStart() {
    const std::array<Duration, 5> starts = {
        Duration(0), Duration(-1'000'000'000), std::chrono::hours(24 * 365 * 50),
        std::chrono::hours(-24 * 365 * 50), Duration(static_cast<int64_t>(random_() >> 8))};
    return TimePoint(starts[Below(starts.size())]);
  }
  // Of any magnitude, so that all levels are used.
  Duration RandomDelay(uint64_t max_bits) {
    const uint64_t mask = (uint64_t{1} << Below(max_bits + 1)) - 1;
    return Duration(static_cast<int64_t>(random_() & mask));
  }

  void Step() {
    switch (Below(8)) {
      case 0:
        return Destroy(Below(kTimers));
      case 1:
        return Cancel(Below(kTimers));
      case 2:
      case 3:
        AdvanceClock();
        return Fire(Below(3) == 0 ? Below(4) : SIZE_MAX);
      default:
        return Start(Below(kTimers));
    }
  }

  void Start(size_t index) {
    Forget(index);
    switch (Below(4)) {
      case 0:
        last_expiry_ = now_ - RandomDelay(30);
        break;
      case 1:
        break;  // the same as another
      default:
        last_expiry_ = now_ + RandomDelay(kMaxDelayBits);
    }
    SimTimer& timer = *timers_[index];
    timer.key = {last_expiry_ > now_ ? CeilTick(last_expiry_) : FloorTick(now_), ++started_};
    expected_[timer.key] = {index, last_expiry_, call_};
    wheel_.Start(timer, last_expiry_);
    EXPECT_TRUE(timer.armed());
    EXPECT_EQ(timer.expiry(), last_expiry_);
  }
  void Cancel(size_t index) {
    Forget(index);
    TimerWheel::Cancel(*timers_[index]);
    EXPECT_FALSE(timers_[index]->armed());
  }
  void Destroy(size_t index) {
    Forget(index);
    timers_[index] = std::make_unique<SimTimer>(*this, index);
  }
  void Forget(size_t index) {
    SimTimer& timer = *timers_[index];
    EXPECT_EQ(expected_.erase(timer.key) == 1, timer.armed());
    timer.key = {};
  }

  void AdvanceClock() {
    TimePoint to = now_;
    switch (Below(4)) {
      case 0:
        to = now_ + RandomDelay(50);
        break;
      case 1:
        to = wheel_.NextWakeup();
        break;
      case 2:  // to the next expiry, or just not
        if (expected_.empty()) break;
        to = TickTime(expected_.begin()->first.first) - Duration(static_cast<int64_t>(Below(2)));
        break;
      default:
        break;  // stands still
    }
    if (to != kNever) now_ = std::max(now_, to);
  }

  void Fire(size_t limit) {
    call_ = ++calls_;
    fired_in_call_ = 0;
    const size_t fired = wheel_.FireExpired(now_, limit);
    const int call = std::exchange(call_, 0);
    EXPECT_EQ(fired, fired_in_call_);
    EXPECT_LE(fired, limit);
    if (fired == limit) return;
    for (const auto& [key, expected] : expected_) {
      if (key.first > FloorTick(now_)) break;
      EXPECT_EQ(expected.started_in_call, call) << "an expired timer did not fire";
    }
  }

  void OnFired(size_t index, TimePoint now) {
    ++fired_in_call_;
    EXPECT_EQ(now, now_);
    EXPECT_FALSE(timers_[index]->armed());
    ASSERT_FALSE(expected_.empty());
    const Expected expected = expected_.begin()->second;
    EXPECT_EQ(expected.index, index) << "out of order";
    EXPECT_GE(now, expected.expiry) << "early";
    EXPECT_NE(expected.started_in_call, call_) << "in the call from which it was started";
    expected_.erase(timers_[index]->key);
    timers_[index]->key = {};
    if (!act_in_callbacks_) return;
    for (uint64_t actions = Below(3); actions > 0; --actions) {
      const size_t other = Below(2) == 0 ? index : Below(kTimers);
      switch (Below(4)) {
        case 0:
          Cancel(other);
          break;
        case 1:
          Destroy(other);
          break;
        default:
          Start(other);
      }
    }
  }

  void CheckNextWakeup() {
    const TimePoint wakeup = wheel_.NextWakeup();
    if (expected_.empty()) {
      EXPECT_EQ(wakeup, kNever);
      return;
    }
    const int64_t next_tick = expected_.begin()->first.first;
    EXPECT_LE(wakeup, TickTime(std::max(next_tick, FloorTick(now_))));
    EXPECT_EQ(wakeup <= now_, next_tick <= FloorTick(now_)) << "a loop that spins";
  }

  std::mt19937_64 random_;
  TimePoint now_;
  TimerWheel wheel_;
  std::array<std::unique_ptr<SimTimer>, kTimers> timers_;
  std::map<Key, Expected> expected_;
  TimePoint last_expiry_ = now_;
  uint64_t started_ = 0;
  int calls_ = 0;
  int call_ = 0;  // 0 outside of FireExpired()
  size_t fired_in_call_ = 0;
  bool act_in_callbacks_ = true;
};

TEST(TimerWheelPropertyTest, BehavesLikeASortedMap) {
  constexpr uint64_t kSeeds = testing::Scaled(300);
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Simulation(seed).Run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace quintet
