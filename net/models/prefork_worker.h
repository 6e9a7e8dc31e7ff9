// One process of the prefork model, from the inside.
#ifndef QUINTET_NET_MODELS_PREFORK_WORKER_H_
#define QUINTET_NET_MODELS_PREFORK_WORKER_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "net/models/accept_wait.h"
#include "net/models/blocking_acceptor.h"
#include "net/models/model_core.h"
#include "net/socket.h"

namespace quintet {

// Accepts by itself and serves one connection at a time.
class PreforkWorker {
 public:
  // In the child. `busy_fd`, an eventfd(2), tells the parent that nobody is idle any more.
  PreforkWorker(ModelCore& core, size_t place, int busy_fd);

  // Serves until the server drains, or until the worker is one too many. The process's exit code.
  int Run();

 private:
  bool draining() const { return core_.board().stage() >= EndStage::kDraining; }
  // A connection; none when it has to look around.
  std::optional<Socket> NextConnection();
  bool IsAnybodyIdle() const;
  void TellIfNobodyIsIdle();
  // When nothing came for long: takes this worker out of the pool, unless it is needed.
  bool LeavePool();
  // Until there is something to accept from again, or the end.
  void Rest();

  ModelCore& core_;
  const size_t place_;
  const int busy_fd_;
  WorkerPlace& own_;
  const bool blocks_in_accept_;
  BlockingAcceptor acceptor_;
  std::unique_ptr<AcceptWait> wait_;
  TimePoint idle_since_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_PREFORK_WORKER_H_
