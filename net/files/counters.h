// What a server of files has done.
#ifndef QUINTET_NET_FILES_COUNTERS_H_
#define QUINTET_NET_FILES_COUNTERS_H_

#include <atomic>
#include <cstdint>

namespace quintet::files {

// Written by all processes and threads that serve, read by anybody. Holds no pointers.
struct Counters {
  std::atomic<uint64_t> requests = 0;   // of all kinds, refused ones included
  std::atomic<uint64_t> gets = 0;       // ended well
  std::atomic<uint64_t> puts = 0;       // ended well
  std::atomic<uint64_t> bytes_out = 0;  // of files
  std::atomic<uint64_t> bytes_in = 0;
  std::atomic<uint64_t> errors = 0;  // ERROR frames
  std::atomic<uint64_t> swept = 0;   // unfinished uploads that were removed for their age

  // Nothing is ordered by them.
  static void Add(std::atomic<uint64_t>& counter, uint64_t count) {
    counter.fetch_add(count, std::memory_order_relaxed);
  }
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_COUNTERS_H_
