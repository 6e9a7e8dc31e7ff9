// Benchmarks that run once for each backend.
#ifndef QUINTET_BENCH_MICRO_PER_BACKEND_H_
#define QUINTET_BENCH_MICRO_PER_BACKEND_H_

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "bench/micro/outcome.h"
#include "benchmark/benchmark.h"
#include "reactor/backend_factory.h"
#include "reactor/event_loop.h"

namespace quintet::bench {

// Why a benchmark of the backend is skipped; empty where it is to run. As in the tests: io_uring
// alone may be missing, unless the environment has QUINTET_REQUIRE_IO_URING=1.
inline std::string WhySkipped(BackendKind kind) {
  const char* const required = std::getenv("QUINTET_REQUIRE_IO_URING");
  if (kind != BackendKind::kIoUring || (required != nullptr && std::string_view(required) == "1")) {
    return "";
  }
  for (const BackendAvailability& backend : AvailableBackends()) {
    if (backend.kind == kind) return backend.reason;
  }
  return "";
}

// A loop on that backend and no other; null, with the benchmark ended, where there is none.
inline std::unique_ptr<EventLoop> MakeLoop(benchmark::State& state, BackendKind kind) {
  if (const std::string reason = WhySkipped(kind); !reason.empty()) {
    Skip(state, reason);
    return nullptr;
  }
  EventLoopOptions options;
  options.backend.kind = kind;
  auto loop = EventLoop::Create(std::move(options));
  if (loop.ok()) return *std::move(loop);
  Fail(state, loop.status().ToString());
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
