// Tasks from other threads: how fast they go in, and how soon a sleeping loop runs one.
// task_queue_bench has the queue alone.
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "bench/micro/outcome.h"
#include "bench/micro/per_backend.h"
#include "benchmark/benchmark.h"
#include "reactor/event_loop.h"

namespace quintet::bench {
namespace {

constexpr int64_t kPostsPerRound = 20'000;
// Between two posts: long enough for the loop to be asleep again.
constexpr std::chrono::microseconds kPause{100};

int64_t NowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// This thread runs the loop; others post as fast as they can.
void Post(benchmark::State& state, BackendKind kind) {
  const auto loop = MakeLoop(state, kind);
  if (loop == nullptr) return;
  const int64_t producers = state.range(0);
  int64_t ran = 0;
  for (auto _ : state) {
    std::vector<std::thread> threads;
    const int64_t end = ran + kPostsPerRound / producers * producers;
    for (int64_t i = 0; i < producers; ++i) {
      threads.emplace_back([&] {
        for (int64_t n = 0; n < kPostsPerRound / producers; ++n) loop->Post([&ran] { ++ran; });
      });
    }
    while (ran < end) loop->RunOnce(std::chrono::seconds(1));
    for (std::thread& thread : threads) thread.join();
  }
  state.SetItemsProcessed(ran);
}
[[maybe_unused]] const bool post = RegisterPerBackend("Post", Post, [](auto* benchmark) {
  benchmark->ArgName("producers")->Arg(1)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);
});

// Wakes `sleep` on a thread of its own with `wake` again and again; the time is from the call of
// `wake` to the moment that `woken_at` tells.
template <typename Wake>
void MeasureWakes(benchmark::State& state, const std::atomic<int64_t>& woken_at, Wake&& wake) {
  std::vector<int64_t> latencies;
  int64_t last = 0;
  for (auto _ : state) {
    std::this_thread::sleep_for(kPause);
    const int64_t start = NowNs();
    wake();
    int64_t end = last;
    while (end == last) end = woken_at.load(std::memory_order_acquire);
    last = end;
    latencies.push_back(end - start);
    state.SetIterationTime(static_cast<double>(end - start) / 1e9);
  }
  std::sort(latencies.begin(), latencies.end());
  state.counters["p50_ns"] = static_cast<double>(latencies[latencies.size() / 2]);
  state.counters["p99_ns"] = static_cast<double>(latencies[latencies.size() * 99 / 100]);
}

// From Post() to the first instruction of the task, on a loop that sleeps.
void WakeLatency(benchmark::State& state, BackendKind kind) {
  const auto loop = MakeLoop(state, kind);
  if (loop == nullptr) return;
  std::atomic<int64_t> ran_at = 0;
  std::thread runner([&] { loop->Run(); });
  MeasureWakes(state, ran_at, [&] {
    loop->Post([&ran_at] { ran_at.store(NowNs(), std::memory_order_release); });
  });
  loop->Stop();
  runner.join();
}
[[maybe_unused]] const bool wake = RegisterPerBackend(
    "WakeLatency", WakeLatency, [](auto* benchmark) { benchmark->UseManualTime(); });

// The floor: a thread that sleeps in read(2) on an eventfd.
void WakeLatencyFloor(benchmark::State& state) {
  const int fd = ::eventfd(0, EFD_CLOEXEC);
  std::atomic<int64_t> ran_at = 0;
  std::thread sleeper([&] {
    uint64_t value = 0;
    while (::read(fd, &value, sizeof(value)) == sizeof(value) && value == 1) {
      ran_at.store(NowNs(), std::memory_order_release);
    }
  });
  const auto write = [fd](uint64_t value) {
    return ::write(fd, &value, sizeof(value)) == sizeof(value);
  };
  MeasureWakes(state, ran_at, [&] {
    if (!write(1)) Fail(state, "write");
  });
  if (!write(2)) Fail(state, "write");
  sleeper.join();
  ::close(fd);
}
BENCHMARK(WakeLatencyFloor)->Name("WakeLatency/floor")->UseManualTime();

}  // namespace
}  // namespace quintet::bench
