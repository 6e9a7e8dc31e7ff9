// benchmark_main, but a benchmark that fails makes the program fail.
#include <atomic>
#include <string>

#include "bench/micro/outcome.h"
#include "benchmark/benchmark.h"

namespace quintet::bench {
namespace {

std::atomic<bool> failed = false;

}  // namespace

void Fail(benchmark::State& state, const std::string& reason) {
  failed = true;
  state.SkipWithError(reason.c_str());
}

void Skip(benchmark::State& state, const std::string& reason) {
  state.SkipWithError(("skipped: " + reason).c_str());
}

}  // namespace quintet::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return quintet::bench::failed ? 1 : 0;
}
