// Benchmarks that run once for each backend.
#ifndef QUINTET_BENCH_MICRO_PER_BACKEND_H_
#define QUINTET_BENCH_MICRO_PER_BACKEND_H_

#include <memory>
#include <string>

#include "benchmark/benchmark.h"
#include "reactor/event_loop.h"

namespace quintet::bench {

// A loop on that backend and no other; null, and the benchmark is skipped with the reason, where it
// does not work.
inline std::unique_ptr<EventLoop> MakeLoop(benchmark::State& state, BackendKind kind) {
  EventLoopOptions options;
  options.backend.kind = kind;
  auto loop = EventLoop::Create(std::move(options));
  if (loop.ok()) return *std::move(loop);
  state.SkipWithError(loop.status().ToString().c_str());
  return nullptr;
}

// Registers `run(state, kind)` as "name/select" and so on; `adjust` sets what Google Benchmark
// offers beyond that. Use it to initialise a constant.
using BackendBenchmark = void (*)(benchmark::State& state, BackendKind kind);
inline bool RegisterPerBackend(const char* name, BackendBenchmark run,
                               void (*adjust)(benchmark::internal::Benchmark*) = nullptr) {
  for (const BackendKind kind : kRealBackends) {
    auto* const registered = benchmark::RegisterBenchmark(
        (std::string(name) + "/" + std::string(BackendName(kind))).c_str(), run, kind);
    if (adjust != nullptr) adjust(registered);
  }
  return true;
}

}  // namespace quintet::bench

#endif  // QUINTET_BENCH_MICRO_PER_BACKEND_H_
