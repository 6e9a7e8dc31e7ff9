// Runs a server whose workers, configuration and program can be replaced while it serves.
#ifndef QUINTET_NET_SUPERVISOR_H_
#define QUINTET_NET_SUPERVISOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/drain_plan.h"
#include "net/generation.h"
#include "net/inherited_sockets.h"
#include "net/listen_sockets.h"
#include "net/server.h"
#include "net/successor.h"
#include "reactor/event_loop.h"
#include "reactor/log.h"

namespace quintet {

// What is to be served. `server.shards` counts the workers.
struct Service {
  ServerOptions server = {};
  WorkerKind kind = WorkerKind::kThread;
  // A worker, or a successor, that is not ready after so long has failed.
  Duration start_timeout = std::chrono::seconds(30);
  // Called by all workers; in processes, by each its own copy.
  std::shared_ptr<SessionFactory> sessions = nullptr;
  // Called for each worker, from 0 on, before it serves, where not empty: in its process, or with
  // kThread on the thread of Supervisor::Run(). An error keeps it from serving.
  std::function<absl::Status(size_t worker)> start_worker = nullptr;
};

struct SupervisorOptions {
  // One line for each thing that happens. Empty: silence.
  LogFunction log = LogToStderr;
  // Sockets of a service manager or a predecessor (TakeInheritedSockets()).
  std::vector<InheritedSocket> inherited = {};
  // Who waits for this program to serve: told once it does, after `on_serving`.
  SuccessorReport predecessor = {};
  // The path and the arguments of the program that SIGUSR2 starts; empty: none. `environment` is
  // set for it in addition, as "NAME=value".
  std::vector<std::string> program = {};
  std::vector<std::string> program_environment = {};
  // Descriptors that worker processes keep, besides the standard streams and what they listen on.
  std::vector<int> kept_descriptors = {};

  // Called on the thread of Run(), where not empty. They must not block: meanwhile no worker is
  // replaced, and none is told of a connection that another has left waiting.
  std::function<void()> on_serving = nullptr;    // the first workers serve
  std::function<void()> on_reloading = nullptr;  // a reload begins
  std::function<void(bool done)> on_reloaded =
      nullptr;                                  // it is over; false: refused, all is as before
  std::function<void()> on_stopping = nullptr;  // the end begins
  std::function<void(pid_t)> on_succeeded = nullptr;  // the successor serves; the end begins
};

// Signals, all taken by the thread of Run():
//
//   SIGTERM, SIGINT  ends: drains by the plan of the server's options; again: at once
//   SIGQUIT          ends: drains for as long as it takes
//   SIGHUP           loads the service anew and replaces the workers, if it is good
//   SIGUSR1          logs the counters of the workers, also of those that drain
//   SIGUSR2          starts the program anew, which inherits the listening sockets; drains once
//                    that serves
//
// No connection is lost on the way: the listening sockets stay open, workers accept until their
// successors do, and drain. Who waits in a socket that is to be closed, at the end or since a
// reload has removed its address, is served before. A SIGHUP during a reload leads to one more
// after it. During a reload SIGTERM ends the workers that start, too, and SIGUSR2 is refused. While
// the new program starts, SIGHUP and SIGUSR2 are refused, and SIGTERM ends it, too. Once the end
// has begun, SIGHUP and SIGUSR2 are refused. What is refused is logged.
//
// The process should belong to the supervisor: it handles these signals, and with kProcess it must
// be single-threaded.
class Supervisor {
 public:
  // Called for the start and for each reload. An error refuses the reload, and says why.
  using Load = std::function<absl::StatusOr<Service>()>;

  // Loads the service and binds its addresses. Blocks the signals above in the calling thread, and
  // gives them back their former handling when it is destroyed. Errors: those of `load`, of
  // ListenSockets::Open() and of EventLoop::Create().
  static absl::StatusOr<std::unique_ptr<Supervisor>> Create(SupervisorOptions options, Load load);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Starts the workers and serves until a signal or Stop() has ended them. Once, on the thread of
  // Create(). Errors: the workers cannot be started; with kThread, those of Server::CreateOn().
  absl::Status Run();

  // Any thread. What the signals do.
  void Stop();
  void Reload();

  // On the thread of Run(), also before it.
  const std::vector<Address>& addresses() const { return addresses_; }
  const Service& service() const { return service_; }
  // As Generation::backend(): set when it serves.
  std::string backend() const;
  // Of the workers that serve; none once the end has begun.
  std::vector<WorkerStats> Stats() const;

 private:
  enum class State { kStarting, kServing, kEnding };

  Supervisor(SupervisorOptions options, Load load);

  absl::Status SetUp();
  absl::Status WatchSignals();
  void OnSignal(int signo);
  std::unique_ptr<Generation> MakeGeneration(const Service& service,
                                             std::shared_ptr<ListenSockets> sockets);
  void Log(LogLevel level, const std::string& text) const;
  // Those of `known` have been told.
  void LogShortfalls(const std::vector<std::string>& known) const;

  // Generations.
  static absl::Status Serve(Generation& generation, ListenSockets& sockets);
  void OnReady(Generation* generation);
  void TellPredecessor();
  void OnFailed(Generation* generation, absl::Status status);
  void OnEnded(Generation* generation);
  void Retire(std::unique_ptr<Generation> generation, const DrainPlan& plan);
  void LookAgain();

  // Reloads.
  void OnReload();
  absl::Status BeginReload();
  void EndReload(const absl::Status& status);

  // Upgrades.
  void OnUpgrade();
  void EndSuccessor();
  void OnSuccessorFailed(const char* how);
  void OnSuccessorReady(pid_t pid);

  // The end.
  void End(const DrainPlan& plan);
  void FinishIfEnded();

  void LogStats() const;

  SupervisorOptions options_;
  const Load load_;
  std::unique_ptr<EventLoop> loop_;
  Service service_;
  std::shared_ptr<ListenSockets> sockets_;  // null once the end has begun
  std::vector<Address> addresses_;
  std::unique_ptr<Generation> serving_;
  // The next, while it starts, with what it is to serve.
  std::unique_ptr<Generation> starting_;
  Service next_service_;
  std::shared_ptr<ListenSockets> next_sockets_;
  std::vector<std::unique_ptr<Generation>> leaving_;
  std::unique_ptr<Successor> successor_;  // while it starts
  std::unique_ptr<Successor> succeeded_;  // once it serves
  TimerHandle successor_timer_;
  std::vector<TimerHandle> look_timers_;
  State state_ = State::kStarting;
  bool reload_again_ = false;
  absl::Status result_;
};

}  // namespace quintet

#endif  // QUINTET_NET_SUPERVISOR_H_
