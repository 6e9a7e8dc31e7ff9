// Timers against libevent's and libuv's on the same trace: start and cancel, put off, fire, with
// 1,000, 100,000 and 1,000,000 of them armed. Compared where CMake found the library.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "bench/micro/timer_engines.h"
#include "benchmark/benchmark.h"

namespace quintet::bench {
namespace {

// Operations of one engine before the next one has its turn, in Compare().
constexpr size_t kSlice = 20'000;

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("armed")->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
}

// One more timer, started and cancelled among those that are armed.
template <typename Engine>
class StartAndCancel {
 public:
  explicit StartAndCancel(const TimerTrace& trace) : trace_(trace), engine_(trace.size() + 1) {
    engine_.Run([&] {
      for (size_t i = 0; i < trace_.size(); ++i) engine_.Start(i, trace_.delay_ms(i));
    });
  }
  void operator()(size_t count) {
    const size_t extra = trace_.size();
    engine_.Run([&] {
      for (size_t n = 0; n < count; ++n) {
        engine_.Start(extra, trace_.delay_ms(next_));
        engine_.Cancel(extra);
        if (++next_ == trace_.size()) next_ = 0;
      }
    });
  }

 private:
  const TimerTrace& trace_;
  Engine engine_;
  size_t next_ = 0;
};

// Armed timers are armed anew, in another order than they were armed first: what each request does
// to the idle deadline of its connection.
template <typename Engine>
class PutOff {
 public:
  explicit PutOff(const TimerTrace& trace) : trace_(trace), engine_(trace.size()) {
    engine_.Run([&] {
      for (size_t i = 0; i < trace_.size(); ++i) engine_.Start(i, trace_.delay_ms(i));
    });
  }
  void operator()(size_t count) {
    engine_.Run([&] {
      for (size_t n = 0; n < count; ++n) {
        engine_.Start(trace_.order(next_), trace_.delay_ms(next_));
        if (++next_ == trace_.size()) next_ = 0;
      }
    });
  }

 private:
  const TimerTrace& trace_;
  Engine engine_;
  size_t next_ = 0;
};

template <typename Operation>
void Alone(benchmark::State& state) {
  const TimerTrace trace(static_cast<size_t>(state.range(0)), kLongDelays);
  Operation operation(trace);
  while (state.KeepRunningBatch(kSlice)) operation(kSlice);
  state.SetItemsProcessed(state.iterations());
}

// All fire, having expired meanwhile; starting is not counted.
template <typename Engine>
void Fire(benchmark::State& state) {
  const TimerTrace trace(static_cast<size_t>(state.range(0)), kShortDelays);
  Engine engine(trace.size());
  for (auto _ : state) {
    engine.Run([&] {
      for (size_t i = 0; i < trace.size(); ++i) engine.Start(i, trace.delay_ms(i));
    });
    SleepMs(kShortDelays + 5);
    const int64_t start = ThreadCpuNs();
    engine.FireAll(trace.size());
    state.SetIterationTime(static_cast<double>(ThreadCpuNs() - start) / 1e9);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(trace.size()));
}

// Slices of both in turn, so that what disturbs the machine disturbs both: the median over the
// pairs of the time of `Ours` divided by that of `Theirs`.
template <typename Ours, typename Theirs>
void Ratio(benchmark::State& state) {
  const TimerTrace trace(static_cast<size_t>(state.range(0)), kLongDelays);
  Ours ours(trace);
  Theirs theirs(trace);
  const auto time = [](auto& operation) {
    const int64_t start = ThreadCpuNs();
    operation(kSlice);
    return static_cast<double>(ThreadCpuNs() - start);
  };
  std::vector<double> ratios;
  while (state.KeepRunningBatch(kSlice)) {
    const double ours_ns = time(ours);
    ratios.push_back(ours_ns / time(theirs));
  }
  std::nth_element(ratios.begin(), ratios.begin() + ratios.size() / 2, ratios.end());
  state.counters["ratio"] = ratios[ratios.size() / 2];
}

// In a macro since Google Benchmark names a benchmark after its source text.
#define QUINTET_TIMER_BENCHMARKS(Engine)                                                   \
  BENCHMARK(Alone<StartAndCancel<Engine>>)->Name("StartAndCancel/" #Engine)->Apply(Sizes); \
  BENCHMARK(Alone<PutOff<Engine>>)->Name("PutOff/" #Engine)->Apply(Sizes);                 \
  BENCHMARK(Fire<Engine>)->Name("Fire/" #Engine)->Apply(Sizes)->UseManualTime()->Iterations(3)
#define QUINTET_TIMER_RATIOS(Engine)                                \
  BENCHMARK(Ratio<StartAndCancel<Quintet>, StartAndCancel<Engine>>) \
      ->Name("StartAndCancel/Quintet:" #Engine)                     \
      ->Apply(Sizes);                                               \
  BENCHMARK(Ratio<PutOff<Quintet>, PutOff<Engine>>)->Name("PutOff/Quintet:" #Engine)->Apply(Sizes)

QUINTET_TIMER_BENCHMARKS(Quintet);
#ifdef QUINTET_HAVE_LIBEVENT
QUINTET_TIMER_BENCHMARKS(Libevent);
QUINTET_TIMER_RATIOS(Libevent);
#endif
#ifdef QUINTET_HAVE_LIBUV
QUINTET_TIMER_BENCHMARKS(Libuv);
QUINTET_TIMER_RATIOS(Libuv);
#endif

}  // namespace
}  // namespace quintet::bench
