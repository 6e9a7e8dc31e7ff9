// How long a loop was busy in each of its turns, for anyone to read while it runs.
#ifndef QUINTET_REACTOR_LOOP_GAUGES_H_
#define QUINTET_REACTOR_LOOP_GAUGES_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "reactor/clock.h"

namespace quintet {

// While a loop runs callbacks it does not look at the kernel: everything that happens meanwhile
// waits. That time, one value for each turn in which something ran, is a turn's busy time.
//
// One loop writes at a time; any thread reads, and any process: it may lie in memory that processes
// share (made there with placement new), since it holds no pointer and locks nothing. The values
// are read one by one and may be some turns apart. They only grow; a loop that takes over the
// gauges of another, such as the successor of a dead worker, counts on from there.
//
// On cache lines of its own: gauges that stand side by side in shared memory have different
// writers.
struct alignas(64) LoopGauges {
  // Below 1 us, below 2 us, below 4 us, ...; the last takes everything from 2^24 us (16.8 s) on,
  // where no finer answer is wanted.
  static constexpr size_t kBuckets = 26;

  // The bucket that a busy time is counted in. Clocks never go backwards: it is not negative.
  static size_t BucketOf(Duration busy) {
    constexpr uint64_t kNsPerUs = 1000;
    const auto width = std::bit_width(static_cast<uint64_t>(busy.count()) / kNsPerUs);
    return std::min(static_cast<size_t>(width), kBuckets - 1);
  }
  // The smallest busy time of a bucket: 0, 1 us, 2 us, 4 us, ...
  static Duration BucketFloor(size_t bucket);

  // The writer: counts one turn, as a stall if it was busy for `stall_threshold` or longer. Returns
  // whether it was one.
  bool Record(Duration busy, Duration stall_threshold) {
    Increment(busy_turns[BucketOf(busy)]);
    const auto ns = static_cast<uint64_t>(busy.count());
    if (ns > longest_ns.load(std::memory_order_relaxed)) {
      longest_ns.store(ns, std::memory_order_relaxed);
    }
    if (busy < stall_threshold) return false;
    Increment(stalls);
    return true;
  }

  // Turns in which something ran: the sum of the buckets.
  uint64_t turns() const;

  std::array<std::atomic<uint64_t>, kBuckets> busy_turns = {};  // turns by their busy time
  std::atomic<uint64_t> stalls = 0;
  std::atomic<uint64_t> longest_ns = 0;  // the longest busy time

  // One writer: a load and a store, without the bus lock of fetch_add.
  static void Increment(std::atomic<uint64_t>& count) {
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

// For memory shared by processes (mmap(2)): a lock would be one process's own.
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_destructible_v<LoopGauges>);
static_assert(std::is_standard_layout_v<LoopGauges>);

}  // namespace quintet

#endif  // QUINTET_REACTOR_LOOP_GAUGES_H_
