// A server: a session factory, addresses to listen on, a backend, and one loop per shard.
#ifndef QUINTET_NET_SERVER_H_
#define QUINTET_NET_SERVER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/connection_options.h"
#include "net/drain_plan.h"
#include "net/listen_policy.h"
#include "net/proxy_session.h"
#include "net/session.h"
#include "net/shard_handle.h"
#include "net/socket.h"
#include "reactor/event_loop.h"
#include "reactor/loop_gauges.h"

namespace quintet {

class ListenSockets;
struct WorkerCounters;

struct ServerOptions {
  std::vector<Address> addresses;
  int backlog = 1024;  // listen(2); the kernel caps it at net.core.somaxconn
  // How the shards share the addresses.
  ListenPolicy policy = ListenPolicy::kReusePort;
  // With kReusePort: the shard is that of the core which received the connection, modulo the
  // shards (ListenSocketsOptions::steer_by_cpu).
  bool steer_by_cpu = false;
  // Shards, each with its own loop. 1 runs on the thread that calls Run(); more run on threads of
  // their own. 0: one per usable core.
  int shards = 1;
  // Pins the thread of shard i to the i-th core that the process may use. Only with shards > 1.
  bool pin = true;
  // Open connections per shard at which it stops accepting until one ends. 0: no limit but the
  // descriptors.
  size_t max_connections_per_shard = 0;
  // Tasks that may wait for a shard before ShardHandle::Post() refuses.
  size_t shard_queue_limit = 65536;
  // What Stop() does, see DrainPlan.
  Duration drain_delay = Duration::zero();
  // From Stop() until connections that are left are closed where idle, and aborted elsewhere. Zero:
  // all are aborted at once.
  Duration drain_timeout = std::chrono::seconds(10);
  // Every connection begins with a PROXY header, of version 1 or 2, which says who the client is.
  // Only behind a proxy that sends one: whoever else reaches the port may claim any address.
  bool proxy_protocol = false;
  Duration proxy_header_timeout = ProxyOptions().header_timeout;
  ConnectionOptions connection;
  EventLoopOptions loop;  // `gauges` is the server's: see ShardStats
};

// How many shards `options` asks for: its `shards`, or what 0 stands for here.
size_t ShardCount(const ServerOptions& options);

// Counters of one shard, as of the moment of asking.
struct ShardStats {
  uint64_t accepted = 0;
  uint64_t active = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t refused = 0;        // closed at once: the backend could not take the descriptor
  uint64_t proxy_errors = 0;   // closed for their PROXY header
  uint64_t accept_pauses = 0;  // episodes of descriptor exhaustion
  uint64_t empty_accepts = 0;  // woken to accept, and nobody was there (not told by io_uring)
  uint64_t stalls = 0;         // turns of the loop above EventLoopOptions::stall_threshold
  Duration longest_turn = Duration::zero();
  // Turns by how busy they were, see LoopGauges::busy_turns: what others had to wait.
  std::array<uint64_t, LoopGauges::kBuckets> busy_turns = {};
};
ShardStats ReadStats(const WorkerCounters& counters);

// Listens from Create() on, serves from Run() to Stop(). Create and Run on one thread.
class Server {
 public:
  // Binds every address and sets up every loop, so that whatever is wrong is said here.
  // `sessions` must outlive the server; with more than one shard it is called by all of them.
  // Errors: InvalidArgument, AlreadyExists (an address is in use: says which), PermissionDenied,
  // Unavailable (the backend; says step and errno).
  static absl::StatusOr<std::unique_ptr<Server>> Create(ServerOptions options,
                                                        SessionFactory& sessions);
  // The same on sockets that others hold too, and with counters of the caller's, one per shard.
  // Accepts nothing until AcceptFrom(). For supervisors.
  static absl::StatusOr<std::unique_ptr<Server>> CreateOn(
      std::shared_ptr<const ListenSockets> sockets, ServerOptions options, SessionFactory& sessions,
      std::shared_ptr<WorkerCounters[]> counters);
  // Allowed at any moment, also in a callback of one of its sessions: connections are aborted, and
  // a Run() in progress returns.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until it is stopped and returns when the last connection has ended, or the plan's
  // timeout after that, whichever is first; then every port that is not held by others is free. To
  // be called once. Errors: ResourceExhausted (no threads).
  absl::Status Run();

  // Any thread, any callback, also a signal handler; idempotent. Serves who waits to be accepted,
  // stops listening, tells every session OnDrain(), and lets Run() return.
  void Stop();
  // Any thread or callback. The same by a plan of the caller's; a later one may only shorten the
  // time.
  void Drain(const DrainPlan& plan);

  // The loop of the thread that calls Run(): with one shard the shard's own. On that thread, until
  // Run() returns.
  EventLoop& loop();

  // For messages between shards, `shard` from 0 to shards() - 1. Any thread.
  ShardHandle Shard(int shard) const;

  // SIGINT and SIGTERM call Stop(). Before Run(); blocks the two signals in the calling thread and
  // those it starts. They get their former handling back when Run() returns.
  absl::Status StopOnSignals();

  // Where it listens, with the real port in place of port 0; in the order of the options.
  const std::vector<Address>& addresses() const;
  int shards() const;
  // The backend in use (what kAuto came to).
  BackendKind backend() const;

  // Any thread.
  std::vector<ShardStats> Stats() const;

  // For supervisors, after CreateOn(), before Run(): starts the threads of the shards, which wait
  // for Run(), so that this can no longer fail. Errors: ResourceExhausted.
  absl::Status StartThreads();
  // The same. Every shard accepts from what is its own; with kHandoff and
  // several shards an acceptor on the thread of Run() accepts for them. The sockets need not listen
  // before Run(). Errors: those of Listener::Create().
  absl::Status AcceptFromAll();
  // The following on any thread, before or during Run(). What a shard accepts from, by index of the
  // ListenSockets; errors are logged during Run().
  absl::Status AcceptFrom(int shard, std::vector<size_t> sockets);
  // A connection that another accepted.
  void Adopt(int shard, Socket socket);
  // Every shard tries to accept now: somebody else who accepts from its sockets has gone.
  void Look();
  // Called on the thread of a shard, or of Run(), that has stopped accepting from a socket: who
  // else accepts there shall look. Before Run().
  void set_on_left(std::function<void()> on_left);

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);

  // Shared with a Run() in progress, which outlives a server destroyed from inside a callback.
  std::shared_ptr<Impl> impl_;
};

}  // namespace quintet

#endif  // QUINTET_NET_SERVER_H_
