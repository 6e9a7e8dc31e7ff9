// One loop of a server with its listeners and connections.
#ifndef QUINTET_NET_SHARD_H_
#define QUINTET_NET_SHARD_H_

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "net/connection_group.h"
#include "net/limited_log.h"
#include "net/listener.h"
#include "net/proxy_session.h"
#include "net/server.h"
#include "net/session.h"
#include "net/socket.h"
#include "reactor/event_loop.h"

namespace quintet {

// Made on one thread, run and torn down on another. Shares nothing with other shards but the
// session factory.
class Shard {
 public:
  // `sockets` listen already. Both references must outlive the shard.
  static absl::StatusOr<std::unique_ptr<Shard>> Create(const ServerOptions& options,
                                                       SessionFactory& sessions,
                                                       std::vector<Socket> sockets);
  ~Shard() { TearDown(); }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Serves until a drain has come to its end.
  void Run() { loop_->Run(); }
  // Closes everything that is left, the loop at last. Then only executor() and Stats() may be
  // called.
  void TearDown();

  // Closes the listeners, tells every session OnDrain(), after `timeout` closes what is left and
  // idle and aborts the rest (zero: aborts all at once), and ends Run(). A second call may only
  // shorten the time.
  void Drain(Duration timeout);

  // Before Run() and on the shard's thread only.
  EventLoop& loop() { return *loop_; }
  // Any thread: reaches the loop for as long as there is one.
  LoopExecutor& executor() { return *executor_; }
  ShardStats Stats() const;

 private:
  Shard(const ServerOptions& options, SessionFactory& sessions, std::unique_ptr<EventLoop> loop);

  void OnAccept(Socket socket);
  void OnProxyRefused(std::string_view why, const Transport& transport);
  void OnConnectionClosed();
  bool AtLimit() const;

  const ServerOptions& options_;
  SessionFactory& sessions_;
  ConnectionCounters counters_;
  std::atomic<uint64_t> accept_pauses_ = 0;
  std::atomic<uint64_t> proxy_errors_ = 0;
  std::unique_ptr<EventLoop> loop_;
  LimitedLog proxy_log_;
  const ProxyOptions proxy_;
  std::unique_ptr<ConnectionGroup> group_;
  std::shared_ptr<LoopExecutor> executor_;
  std::vector<ListenerPtr> listeners_;
  TimerHandle drain_timer_;
  TimePoint drain_deadline_ = kNever;
  bool draining_ = false;
};

}  // namespace quintet

#endif  // QUINTET_NET_SHARD_H_
