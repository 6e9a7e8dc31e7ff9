// One loop of a server with its listeners and connections.
#ifndef QUINTET_NET_SHARD_H_
#define QUINTET_NET_SHARD_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/connection_group.h"
#include "net/limited_log.h"
#include "net/listen_sockets.h"
#include "net/listener.h"
#include "net/proxy_session.h"
#include "net/server.h"
#include "net/session.h"
#include "net/socket.h"
#include "net/worker_counters.h"
#include "reactor/event_loop.h"

namespace quintet {

// Made on one thread, run and torn down on another. Shares nothing with other shards but the
// session factory and the listening sockets.
class Shard {
 public:
  // All references must outlive the shard. Errors: those of EventLoop::Create().
  static absl::StatusOr<std::unique_ptr<Shard>> Create(const ServerOptions& options,
                                                       SessionFactory& sessions,
                                                       WorkerCounters& counters);
  ~Shard() { TearDown(); }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Accepts from the sockets with these indices and from no others. What the kernel had accepted
  // from one that is given up is still served. On error it accepts from those before the one that
  // failed.
  absl::Status AcceptFrom(const ListenSockets& sockets, std::span<const size_t> indices);
  // Takes a connection that another accepted.
  void Adopt(Socket socket);
  // Tries every listener now, see Listener::Look().
  void Look();
  // Called when this shard has stopped accepting from a socket, for a while or for good, and may
  // have taken a wake-up with it that was meant for whoever else accepts there. Before Run().
  void set_on_left(std::function<void()> on_left) { on_left_ = std::move(on_left); }

  // Serves until a drain has come to its end.
  void Run() { loop_->Run(); }
  // Closes everything that is left, the loop at last. Then only executor() and Stats() may be
  // called.
  void TearDown();

  // Transport::stopping() is true from here on.
  void AnnounceStop() { group_->set_stopping(true); }
  // Stops accepting, tells every session OnDrain(), after `timeout` closes what is left and idle
  // and aborts the rest (zero: aborts all at once), and ends Run(). Serves those first who wait in
  // `abandoned` (DrainPlan), of the sockets that it accepts from, or of all that are `held` where
  // that is not null: then others accept there, but may be gone by the time this process closes
  // them. A second call may only shorten the time.
  void Drain(Duration timeout, std::span<const size_t> abandoned, const ListenSockets* held);

  // Before Run() and on the shard's thread only.
  EventLoop& loop() { return *loop_; }
  // Any thread: reaches the loop for as long as there is one.
  const std::shared_ptr<LoopExecutor>& executor() const { return executor_; }
  const WorkerCounters& counters() const { return counters_; }

 private:
  struct Entry {
    size_t socket;
    ListenerPtr listener;
    bool leaving = false;
  };

  Shard(const ServerOptions& options, SessionFactory& sessions, WorkerCounters& counters,
        std::unique_ptr<EventLoop> loop);

  std::unique_ptr<Session> CreateSession();
  absl::Status Listen(const ListenSockets& sockets, size_t index);
  bool AcceptsFrom(size_t index) const;
  void Leave(Entry& entry, Backlog backlog);
  void OnLeft(const Listener* listener);
  void OnProxyRefused(std::string_view why, const Transport& transport);
  void OnConnectionClosed();
  void EndIfDrained();
  bool AtLimit() const;

  const ServerOptions& options_;
  SessionFactory& sessions_;
  WorkerCounters& counters_;
  std::function<void()> on_left_;
  // Last, so that they go first: listeners and connections before the loop they are on.
  std::unique_ptr<EventLoop> loop_;
  LimitedLog proxy_log_;
  const ProxyOptions proxy_;
  std::unique_ptr<ConnectionGroup> group_;
  std::shared_ptr<LoopExecutor> executor_;
  std::vector<Entry> listeners_;
  TimerHandle drain_timer_;
  TimePoint drain_deadline_ = kNever;
  bool draining_ = false;
  bool at_limit_ = false;
};

}  // namespace quintet

#endif  // QUINTET_NET_SHARD_H_
