// A server: a session factory, addresses to listen on, a backend, and one loop per shard.
#ifndef QUINTET_NET_SERVER_H_
#define QUINTET_NET_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/connection_options.h"
#include "net/proxy_session.h"
#include "net/session.h"
#include "reactor/event_loop.h"

namespace quintet {

struct ServerOptions {
  std::vector<Address> addresses;
  int backlog = 1024;  // listen(2); the kernel caps it at net.core.somaxconn
  // Shards, each with its own loop and, on IP addresses, its own SO_REUSEPORT listener. 1 runs on
  // the thread that calls Run(); more run on threads of their own. 0: one per usable core.
  int shards = 1;
  // Pins the thread of shard i to the i-th core that the process may use. Only with shards > 1.
  bool pin = true;
  // Open connections per shard at which it stops accepting until one ends. 0: no limit but the
  // descriptors.
  size_t max_connections_per_shard = 0;
  // From Stop() until connections that are left are closed where idle, and aborted elsewhere. Zero:
  // all are aborted at once.
  Duration drain_timeout = std::chrono::seconds(10);
  // Every connection begins with a PROXY header, of version 1 or 2, which says who the client is.
  // Only behind a proxy that sends one: whoever else reaches the port may claim any address.
  bool proxy_protocol = false;
  Duration proxy_header_timeout = ProxyOptions().header_timeout;
  ConnectionOptions connection;
  EventLoopOptions loop;
};

// Counters of one shard, as of the moment of asking.
struct ShardStats {
  uint64_t accepted = 0;
  uint64_t active = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t refused = 0;        // closed at once: the backend could not take the descriptor
  uint64_t proxy_errors = 0;   // closed for their PROXY header
  uint64_t accept_pauses = 0;  // episodes of descriptor exhaustion
};

// Listens from Create() on, serves from Run() to Stop(). Create and Run on one thread.
class Server {
 public:
  // Binds every address and sets up every loop, so that whatever is wrong is said here.
  // `sessions` must outlive the server; with more than one shard it is called by all of them.
  // Errors: InvalidArgument, AlreadyExists (an address is in use: says which), PermissionDenied,
  // Unavailable (the backend; says step and errno).
  static absl::StatusOr<std::unique_ptr<Server>> Create(ServerOptions options,
                                                        SessionFactory& sessions);
  // Allowed at any moment, also in a callback of one of its sessions: connections are aborted, and
  // a Run() in progress returns.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until Stop() and returns when the last connection has ended, or drain_timeout after
  // Stop(), whichever is first; then every port is free. To be called once.
  absl::Status Run();

  // Any thread, any callback, also a signal handler; idempotent. Stops listening, tells every
  // session OnDrain(), and lets Run() return.
  void Stop();

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

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);

  // Shared with a Run() in progress, which outlives a server destroyed from inside a callback.
  std::shared_ptr<Impl> impl_;
};

}  // namespace quintet

#endif  // QUINTET_NET_SERVER_H_
