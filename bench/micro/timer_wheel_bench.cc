// What the wheel costs as time goes by, with 1,000, 100,000 and 1,000,000 timers in it.
// timers_bench has what can be compared with other libraries.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "reactor/timer_wheel.h"

namespace quintet::bench {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1000)};
constexpr Duration kSpan = std::chrono::seconds(60);
constexpr size_t kTimersPerTurn = 512;

class CountingTimer final : public Timer {
 public:
  explicit CountingTimer(size_t& fired) : fired_(fired) {}

 private:
  void OnTimer(TimePoint /*now*/) override { ++fired_; }
  size_t& fired_;
};

struct Timers {
  explicit Timers(size_t count) : wheel(kStart) {
    timers.reserve(count);
    std::mt19937_64 random(1);
    for (size_t i = 0; i < count; ++i) {
      timers.push_back(std::make_unique<CountingTimer>(fired));
      delays.emplace_back(static_cast<int64_t>(random() % Duration(kSpan).count()));
    }
    // Connections speak in no order of their addresses.
    std::shuffle(timers.begin(), timers.end(), random);
  }
  void StartAll(TimePoint from) {
    for (size_t i = 0; i < timers.size(); ++i) wheel.Start(*timers[i], from + delays[i]);
  }

  TimerWheel wheel;
  size_t fired = 0;
  std::vector<std::unique_ptr<CountingTimer>> timers;
  std::vector<Duration> delays;
};

// From wake-up to wake-up, with what it costs to move timers down the levels; starting not counted.
void FireAsTimePasses(benchmark::State& state) {
  Timers t(static_cast<size_t>(state.range(0)));
  TimePoint now = kStart;
  for (auto _ : state) {
    state.PauseTiming();
    t.StartAll(now);
    state.ResumeTiming();
    for (TimePoint next = t.wheel.NextWakeup(); next != kNever; next = t.wheel.NextWakeup()) {
      now = std::max(now, next);
      benchmark::DoNotOptimize(t.wheel.FireExpired(now, kTimersPerTurn));
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(t.fired));
}

// What each turn of the loop pays when nothing is due.
void IdleTurn(benchmark::State& state) {
  Timers t(static_cast<size_t>(state.range(0)));
  t.StartAll(kStart + std::chrono::seconds(1));
  for (auto _ : state) {
    benchmark::DoNotOptimize(t.wheel.NextWakeup());
    benchmark::DoNotOptimize(t.wheel.FireExpired(kStart, kTimersPerTurn));
  }
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
}
BENCHMARK(FireAsTimePasses)->Apply(Sizes)->Unit(benchmark::kMillisecond);
BENCHMARK(IdleTurn)->Apply(Sizes);

}  // namespace
}  // namespace quintet::bench
