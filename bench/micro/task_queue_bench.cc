// What a task costs from Push() to having run.
#include <cstdint>
#include <thread>
#include <vector>

#include "bench/micro/outcome.h"
#include "benchmark/benchmark.h"
#include "reactor/task_queue.h"

namespace quintet::bench {
namespace {

constexpr int64_t kPostsPerRound = 100'000;

// The loop's own thread posts and runs.
void PostAndRun(benchmark::State& state) {
  TaskQueue queue;
  const int64_t batch = state.range(0);
  int64_t ran = 0;
  for (auto _ : state) {
    for (int64_t i = 0; i < batch; ++i) static_cast<void>(queue.Push([&ran] { ++ran; }));
    queue.RunBatch([](Task& task) { task(); });
  }
  state.SetItemsProcessed(ran);
}
BENCHMARK(PostAndRun)->Arg(1)->Arg(64);

// Other threads post as fast as they can while this one runs what has come; it does not sleep.
void PostFromThreads(benchmark::State& state) {
  const int64_t producers = state.range(0);
  int64_t ran = 0;
  for (auto _ : state) {
    TaskQueue queue;
    std::vector<std::thread> threads;
    for (int64_t i = 0; i < producers; ++i) {
      threads.emplace_back([&] {
        for (int64_t post = 0; post < kPostsPerRound / producers; ++post) {
          static_cast<void>(queue.Push([&ran] { ++ran; }));
        }
      });
    }
    const int64_t end = ran + kPostsPerRound / producers * producers;
    while (ran < end) {
      if (queue.RunBatch([](Task& task) { task(); }) == 0) std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
  }
  state.SetItemsProcessed(ran);
}
BENCHMARK(PostFromThreads)->Arg(1)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);

// A loop that sleeps between tasks, without the system calls of sleeping.
void SleepPostWake(benchmark::State& state) {
  TaskQueue queue;
  int64_t wakes = 0;
  for (auto _ : state) {
    if (!queue.PrepareToSleep()) Fail(state, "the queue was not empty");
    if (queue.Push([] {})) ++wakes;
    queue.FinishSleep();
    queue.RunBatch([](Task& task) { task(); });
  }
  state.SetItemsProcessed(wakes);
}
BENCHMARK(SleepPostWake);

}  // namespace
}  // namespace quintet::bench
