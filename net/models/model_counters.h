// What a server of a classic model counts, in memory that it shares with its processes.
#ifndef QUINTET_NET_MODELS_MODEL_COUNTERS_H_
#define QUINTET_NET_MODELS_MODEL_COUNTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "net/models/end_board.h"
#include "net/models/model_server.h"
#include "net/worker_counters.h"
#include "reactor/clock.h"

namespace quintet {

// Whether a line may be written about what peers can bring about as often as they like. One
// process or thread for all.
struct LogLimit {
  static constexpr Duration kInterval = std::chrono::seconds(1);

  // Once in each interval; `*left_out` says how often it was refused since the last time.
  bool MayWrite(TimePoint now, uint64_t* left_out);

  std::atomic<int64_t> quiet_until_ns = INT64_MIN;
  std::atomic<uint64_t> refused = 0;
};

// What a worker of kPrefork is at.
enum class WorkerState : uint8_t {
  kStarting,
  kIdle,
  kBusy,
  kLeaving,  // wants to leave, and is in the pool still
  kLeft,     // has taken itself out of the pool, and ends
};

// One for the server.
struct ServerCounters {
  EndNotice end;
  std::atomic<uint64_t> refused = 0;
  std::atomic<uint64_t> refused_at_cap = 0;
  std::atomic<uint64_t> workers = 0;
  std::atomic<uint64_t> most_workers = 0;
  std::atomic<uint64_t> workers_started = 0;
  std::atomic<uint64_t> crashed = 0;
  std::atomic<uint64_t> start_failures = 0;
  // Workers of kPrefork that are to be there.
  std::atomic<uint64_t> pool = 0;

  LogLimit proxy_log;
  LogLimit start_log;
  LogLimit crash_log;
  LogLimit session_log;
};

// One for each child or thread at a time; whoever takes the place of one that ended goes on
// counting where that one ended.
struct alignas(64) WorkerPlace {
  WorkerCounters counters;
  std::atomic<WorkerState> state = WorkerState::kStarting;
};

class ModelCounters {
 public:
  // Errors: ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<ModelCounters>> Create(size_t places);
  ~ModelCounters();
  ModelCounters(const ModelCounters&) = delete;
  ModelCounters& operator=(const ModelCounters&) = delete;

  // Any thread, any forked child.
  ServerCounters& server() { return *server_; }
  WorkerPlace& place(size_t index) { return places_[index]; }
  size_t places() const { return count_; }

  // A worker was started, or has ended.
  void AddWorker();
  void RemoveWorker();

  ModelStats Stats() const;

 private:
  ModelCounters(void* memory, size_t bytes, size_t count);

  void* const memory_;
  const size_t bytes_;
  const size_t count_;
  ServerCounters* server_;
  WorkerPlace* places_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_MODEL_COUNTERS_H_
