// What a worker process runs.
#ifndef QUINTET_NET_WORKER_MAIN_H_
#define QUINTET_NET_WORKER_MAIN_H_

#include <cstddef>
#include <memory>

#include "net/generation.h"
#include "net/socket.h"
#include "net/worker_counters.h"

namespace quintet {

// Serves as worker `worker` of its generation, on the calling thread, until the supervisor at the
// other end of `channel` says to drain, or is gone. SIGTERM makes it ask the supervisor for a
// successor. Returns the exit status of the process: 0, or 1 when it could not serve, which the
// supervisor is told by kFailed.
//
// In a process of its own: takes over the listening sockets, see ListenSockets::InChild().
// `counters` are this worker's.
int RunWorker(Socket channel, size_t worker, const GenerationSetup& setup,
              std::shared_ptr<WorkerCounters[]> counters);

}  // namespace quintet

#endif  // QUINTET_NET_WORKER_MAIN_H_
