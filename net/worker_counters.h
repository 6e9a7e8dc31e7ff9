// What one worker of a server counts, for other threads and processes to read.
#ifndef QUINTET_NET_WORKER_COUNTERS_H_
#define QUINTET_NET_WORKER_COUNTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/connection_group.h"
#include "reactor/loop_gauges.h"

namespace quintet {

// Written by the worker, read by anybody. Holds no pointers, so it may lie in memory that processes
// share; there each process has its own (PlaceCounters).
struct WorkerCounters {
  ConnectionCounters connections;
  std::atomic<uint64_t> accept_pauses = 0;  // episodes of descriptor exhaustion
  std::atomic<uint64_t> proxy_errors = 0;   // closed for their PROXY header
  std::atomic<uint64_t> empty_accepts = 0;  // woken to accept, and nobody was there
  LoopGauges gauges;
};

// Those of `count` workers in this process.
inline std::shared_ptr<WorkerCounters[]> CreateCounters(size_t count) {
  return std::shared_ptr<WorkerCounters[]>(new WorkerCounters[count]);
}

}  // namespace quintet

#endif  // QUINTET_NET_WORKER_COUNTERS_H_
