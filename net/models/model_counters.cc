#include "net/models/model_counters.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "net/errno_status.h"

namespace quintet {
namespace {

static_assert(std::atomic<uint64_t>::is_always_lock_free, "processes share it");

// Where the places begin, behind the server's.
constexpr size_t kPlacesAt = (sizeof(ServerCounters) + alignof(WorkerPlace) - 1) /
                             alignof(WorkerPlace) * alignof(WorkerPlace);

uint64_t Read(const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); }

}  // namespace

bool LogLimit::MayWrite(TimePoint now, uint64_t* left_out) {
  const int64_t now_ns = now.time_since_epoch().count();
  int64_t quiet_until = quiet_until_ns.load(std::memory_order_relaxed);
  // Of several at once one is let through.
  if (now_ns < quiet_until ||
      !quiet_until_ns.compare_exchange_strong(quiet_until, now_ns + kInterval.count())) {
    refused.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  *left_out = refused.exchange(0, std::memory_order_relaxed);
  return true;
}

absl::StatusOr<std::unique_ptr<ModelCounters>> ModelCounters::Create(size_t places) {
  const size_t bytes = kPlacesAt + places * sizeof(WorkerPlace);
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "memory for the counters of the workers");
  return std::unique_ptr<ModelCounters>(new ModelCounters(memory, bytes, places));
}

ModelCounters::ModelCounters(void* memory, size_t bytes, size_t count)
    : memory_(memory), bytes_(bytes), count_(count), server_(new (memory) ServerCounters) {
  places_ = reinterpret_cast<WorkerPlace*>(static_cast<char*>(memory) + kPlacesAt);
  std::uninitialized_default_construct_n(places_, count);
}

ModelCounters::~ModelCounters() { ::munmap(memory_, bytes_); }

void ModelCounters::AddWorker() {
  server_->workers_started.fetch_add(1, std::memory_order_relaxed);
  const uint64_t workers = server_->workers.fetch_add(1, std::memory_order_relaxed) + 1;
  if (workers > Read(server_->most_workers)) {
    server_->most_workers.store(workers, std::memory_order_relaxed);
  }
}

void ModelCounters::RemoveWorker() { server_->workers.fetch_sub(1, std::memory_order_relaxed); }

ModelStats ModelCounters::Stats() const {
  ModelStats stats{.refused = Read(server_->refused),
                   .refused_at_cap = Read(server_->refused_at_cap),
                   .workers = Read(server_->workers),
                   .most_workers = Read(server_->most_workers),
                   .workers_started = Read(server_->workers_started),
                   .crashed = Read(server_->crashed),
                   .start_failures = Read(server_->start_failures)};
  stats.accepted = stats.refused;
  for (size_t i = 0; i < count_; ++i) {
    const WorkerCounters& counters = places_[i].counters;
    stats.accepted += Read(counters.connections.opened);
    stats.active += Read(counters.connections.active);
    stats.bytes_in += Read(counters.connections.bytes_in);
    stats.bytes_out += Read(counters.connections.bytes_out);
    stats.empty_accepts += Read(counters.empty_accepts);
    stats.accept_pauses += Read(counters.accept_pauses);
    stats.proxy_errors += Read(counters.proxy_errors);
  }
  return stats;
}

}  // namespace quintet
