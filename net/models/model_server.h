// A server of a classic model: the same sessions, on threads and processes that block.
#ifndef QUINTET_NET_MODELS_MODEL_SERVER_H_
#define QUINTET_NET_MODELS_MODEL_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/drain_plan.h"
#include "net/models/server_model.h"
#include "net/server.h"
#include "net/session.h"
#include "reactor/clock.h"

namespace quintet {

struct ModelOptions {
  // Above it the process table, not this, would be the limit: pid_max is 32768 by default
  // (proc(5)).
  static constexpr size_t kMostWorkers = 32768;

  ServerModel model = ServerModel::kIterative;
  // kFork: processes at once; kThread: threads at once. Each serves one connection.
  size_t max_children = 256;
  AtCap at_cap = AtCap::kWait;  // of kFork and kThread
  // kPrefork: processes that are always there, and at most. Beyond the first number one is started
  // when all are busy, and ends when it had nothing to do for `idle_worker_timeout`.
  size_t min_workers = 4;
  size_t max_workers = 4;
  Duration idle_worker_timeout = std::chrono::seconds(10);
  PreforkAccept prefork_accept = PreforkAccept::kBlocking;
};

// Counters of a model's server, as of the moment of asking. Those of its processes are among them.
struct ModelStats {
  uint64_t accepted = 0;  // also those that were refused then
  uint64_t active = 0;    // connections being served
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  // Accepted and reset, without a session: at the cap, or because a process, a thread or a session
  // could not be made.
  uint64_t refused = 0;
  uint64_t refused_at_cap = 0;   // of those, at the cap
  uint64_t workers = 0;          // children, or threads of connections, right now
  uint64_t most_workers = 0;     // the most that there were at once
  uint64_t workers_started = 0;  // ever
  uint64_t crashed = 0;          // children that ended by a signal or with an error
  uint64_t start_failures = 0;   // fork(2) failed, or a thread could not be made
  uint64_t empty_accepts = 0;    // woken to accept, and nobody was there
  uint64_t accept_pauses = 0;    // episodes of descriptor exhaustion
  uint64_t proxy_errors = 0;     // closed for their PROXY header
};

// Listens from Create() on, serves from Run() to Stop(). Create and Run on one thread.
//
// Deadlines, limits and the ways a connection ends are those of Connection (net/connection.h). A
// callback that blocks holds up its own connection, and with kIterative all.
//
// kFork and kPrefork fork the process that calls Run(), so it should have no other threads: what
// those held locked stays locked in the children. Children have copies of the session factory and
// of everything else, all open descriptors of the program among it: what the program closes stays
// open for as long as they have it. They end without destructors (_exit(2)), and with a SIGKILL
// when the thread of Run() is gone (PR_SET_PDEATHSIG, prctl(2)). SIGINT and SIGTERM do nothing to
// them: who sends one to the process group (a terminal, a service manager) means the parent, which
// tells them. The same holds for SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 where the thread of Run() has
// them blocked. None of these is blocked in the children, nor in what they start.
//
// While Run() is in progress SIGCHLD has a handler, which calls the former one; only the server's
// own children are waited for.
class ModelServer {
 public:
  // How long after the end of a drain (its start and DrainPlan::timeout) a child that is still
  // there is killed: one whose session never returns. So no child is there for longer than the
  // timeout and this. (A thread cannot be killed: Run() waits for it.)
  static constexpr Duration kKillGrace = std::chrono::seconds(1);
  // The same after a drain without time, or one that was cut short by such: time enough to reset a
  // connection.
  static constexpr Duration kAbortGrace = std::chrono::milliseconds(500);

  // Binds every address. `sessions` must outlive the server; with kThread all threads call it.
  // Of `options` these mean what they mean to Server: addresses, backlog, drain_delay,
  // drain_timeout, proxy_protocol, proxy_header_timeout, connection, and the log of the loop;
  // steer_by_cpu with PreforkAccept::kReusePort. Errors: InvalidArgument (of another model, or out
  // of range; names what it is), and those of ListenSockets::Open().
  static absl::StatusOr<std::unique_ptr<ModelServer>> Create(const ModelOptions& model,
                                                             ServerOptions options,
                                                             SessionFactory& sessions);
  // Not while Run() is in progress.
  ~ModelServer();
  ModelServer(const ModelServer&) = delete;
  ModelServer& operator=(const ModelServer&) = delete;

  // Serves until it is stopped, and returns when the last connection has ended and every child and
  // thread of the server is gone. To be called once. Errors: ResourceExhausted (no descriptors, or
  // kPrefork: not one worker could ever be started; once there was one, starts that fail are tried
  // again for as long as the server runs, at least every RestartPolicy::kLongestPause).
  absl::Status Run();

  // Any thread, any callback, also a signal handler, also in a child; idempotent. Serves who
  // waits to be accepted, stops listening, tells every session OnDrain(), and lets Run() return.
  void Stop();
  // Any thread or callback of the server's own process. The same by a plan of the caller's; a later
  // one may only shorten the time.
  void Drain(const DrainPlan& plan);

  // SIGINT and SIGTERM call Stop(), by a handler. Before Run(), in its process: not before a
  // fork(2) behind which the child runs. They get their former handling back when Run() returns.
  // Errors: ResourceExhausted.
  absl::Status StopOnSignals();

  // Where it listens, with the real port in place of port 0; in the order of the options.
  const std::vector<Address>& addresses() const;
  // Any thread.
  ModelStats Stats() const;

 private:
  class Impl;
  explicit ModelServer(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_MODEL_SERVER_H_
