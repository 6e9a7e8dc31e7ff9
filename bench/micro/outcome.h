// How a benchmark ends without a figure. Google Benchmark prints the reason and exits with 0.
#ifndef QUINTET_BENCH_MICRO_OUTCOME_H_
#define QUINTET_BENCH_MICRO_OUTCOME_H_

#include <string>

#include "benchmark/benchmark.h"

namespace quintet::bench {

// Ends the benchmark with the reason, and makes the program exit with 1.
void Fail(benchmark::State& state, const std::string& reason);

// Ends it because the machine lacks what it needs, which is no failure.
void Skip(benchmark::State& state, const std::string& reason);

}  // namespace quintet::bench

#endif  // QUINTET_BENCH_MICRO_OUTCOME_H_
