// What a timer costs with 1,000, 100,000 and 1,000,000 of them: putting off (as each request does
// with its connection's idle deadline), starting and cancelling, firing.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "reactor/timer_wheel.h"

namespace quintet {
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

void BM_PutOff(benchmark::State& state) {
  Timers t(static_cast<size_t>(state.range(0)));
  t.StartAll(kStart);
  size_t i = 0;
  for (auto _ : state) {
    t.wheel.Start(*t.timers[i], kStart + t.delays[i]);
    if (++i == t.timers.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

void BM_StartAndCancel(benchmark::State& state) {
  Timers t(static_cast<size_t>(state.range(0)));
  t.StartAll(kStart);
  CountingTimer timer(t.fired);
  size_t i = 0;
  for (auto _ : state) {
    t.wheel.Start(timer, kStart + t.delays[i]);
    TimerWheel::Cancel(timer);
    if (++i == t.delays.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

// From wake-up to wake-up, with what it costs to move timers down the levels; starting not counted.
void BM_Fire(benchmark::State& state) {
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
void BM_IdleTurn(benchmark::State& state) {
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
BENCHMARK(BM_PutOff)->Apply(Sizes);
BENCHMARK(BM_StartAndCancel)->Apply(Sizes);
BENCHMARK(BM_Fire)->Apply(Sizes)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_IdleTurn)->Apply(Sizes);

}  // namespace
}  // namespace quintet
