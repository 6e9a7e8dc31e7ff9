// The workers that serve one configuration, as their supervisor sees them.
#ifndef QUINTET_NET_GENERATION_H_
#define QUINTET_NET_GENERATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "net/drain_plan.h"
#include "net/listen_sockets.h"
#include "net/server.h"
#include "net/session.h"
#include "net/worker_counters.h"
#include "reactor/clock.h"
#include "reactor/event_loop.h"
#include "reactor/log.h"

namespace quintet {

// What the workers of a generation are.
enum class WorkerKind : uint8_t {
  kThread,   // threads of this process, a shard each
  kProcess,  // processes of their own: one that crashes takes only its own connections with it
};

// What a generation serves, and on what.
struct GenerationSetup {
  ServerOptions server;  // shards: the workers
  std::shared_ptr<SessionFactory> sessions;
  std::function<absl::Status(size_t worker)> start_worker;  // as Service::start_worker
  std::shared_ptr<ListenSockets> sockets;
  // A worker that is not ready after so long has failed.
  Duration start_timeout = std::chrono::seconds(30);
  // Descriptors that worker processes keep, besides the standard streams.
  std::vector<int> kept_descriptors;
  LogFunction log;
};

struct WorkerStats {
  size_t worker = 0;
  int64_t pid = 0;
  ShardStats shard;
};

// Made, used and destroyed on the supervisor's loop, which must outlive it. Its life:
//
//   Start() -> ready() -> Prepare() -> Serve() -> [restarts] -> Drain() -> ended()
//           -> failed()
//
// Prepare() and Serve() may also be called before ready(): then each worker serves from when it is
// ready, and one that fails is tried again; that is how a program starts. A generation that is to
// replace another serves when all are ready, or has failed. The sockets need not listen before
// Serve(): what can fail has been done then, and whoever connects to a socket that is new is
// served.
class Generation {
 public:
  // None is called from inside a call. Each may destroy the generation.
  struct Events {
    // Every worker is ready, or, where Serve() came first, was given a chance.
    std::function<void()> ready;
    // Before Serve(): it cannot serve. After it: no worker is left, and none will be started.
    std::function<void(absl::Status)> failed;
    // A worker has stopped accepting, or died: others who accept from its sockets shall look.
    std::function<void()> left;
    // After Drain(): the last worker has ended.
    std::function<void()> ended;
  };

  virtual ~Generation() = default;  // ends what is left at once

  virtual absl::Status Start() = 0;
  // Everything of Serve() that can fail. Serve() follows in the same turn of the loop.
  virtual absl::Status Prepare() = 0;
  virtual void Serve() = 0;
  virtual void Look() = 0;
  // A later plan may only shorten the time.
  virtual void Drain(const DrainPlan& plan) = 0;

  // "io_uring (auto)"; empty while no worker has been ready.
  virtual std::string backend() const = 0;
  virtual std::vector<WorkerStats> Stats() const = 0;
};

std::unique_ptr<Generation> CreateGeneration(WorkerKind kind, EventLoop& loop,
                                             GenerationSetup setup, Generation::Events events);

}  // namespace quintet

#endif  // QUINTET_NET_GENERATION_H_
