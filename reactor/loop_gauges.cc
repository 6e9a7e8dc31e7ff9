#include "reactor/loop_gauges.h"

#include <chrono>

namespace quintet {

Duration LoopGauges::BucketFloor(size_t bucket) {
  if (bucket == 0) return Duration::zero();
  return std::chrono::microseconds(int64_t{1} << (std::min(bucket, kBuckets - 1) - 1));
}

uint64_t LoopGauges::turns() const {
  uint64_t sum = 0;
  for (const auto& count : busy_turns) sum += count.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace quintet
