// What the models of a process and of a thread for each connection have in common.
#ifndef QUINTET_NET_MODELS_WORKER_PER_CONNECTION_H_
#define QUINTET_NET_MODELS_WORKER_PER_CONNECTION_H_

#include <cstddef>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "net/models/blocking_acceptor.h"
#include "net/models/kill_timer.h"
#include "net/models/model_core.h"
#include "net/socket.h"

namespace quintet {

// Those who serve, each one connection. Each has a place, a number below
// ModelOptions::max_children.
class ConnectionWorkers {
 public:
  virtual ~ConnectionWorkers() = default;

  // Starts one, who takes over the socket. On error the socket is left as it was.
  virtual absl::Status Start(size_t place, Socket& socket) = 0;
  // Collect() may have something to do when this is readable, and when next() has come.
  virtual int fd() const = 0;
  virtual TimePoint next() const = 0;
  // Calls `on_ended` with the place of everyone who has ended; it may be given away again.
  virtual void Collect(absl::FunctionRef<void(size_t place)> on_ended) = 0;
  // The drain is over, and they had their time: ends those that can be ended.
  virtual void Kill() = 0;
};

// Accepts on the calling thread and gives each connection to a worker of its own, up to the cap.
// One use.
class WorkerPerConnection {
 public:
  WorkerPerConnection(ModelCore& core, ConnectionWorkers& workers);

  // Returns when the server drains and the last worker has ended.
  void Run();

 private:
  bool at_cap() const { return free_.empty(); }
  size_t workers() const { return core_.counters().places() - free_.size(); }
  bool IsNeeded() const { return !core_.draining() || workers() > 0 || core_.has_waiting(); }
  bool Accepts() const;
  TimePoint NextDeadline();
  void OnAccept(Socket socket);
  void OnEnded(size_t place);

  ModelCore& core_;
  ConnectionWorkers& workers_;
  BlockingAcceptor acceptor_;
  std::vector<size_t> free_;  // places, the one to be used next last
  KillTimer kill_timer_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_WORKER_PER_CONNECTION_H_
