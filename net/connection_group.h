// What the connections of one loop share: options, memory, counters, and their owner.
#ifndef QUINTET_NET_CONNECTION_GROUP_H_
#define QUINTET_NET_CONNECTION_GROUP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/block_pool.h"
#include "net/connection_options.h"
#include "net/loop_executor.h"
#include "net/session.h"
#include "net/socket.h"
#include "reactor/event_loop.h"

namespace quintet {

class Connection;

// Counters that one thread writes and any thread reads.
struct ConnectionCounters {
  std::atomic<uint64_t> opened = 0;
  std::atomic<uint64_t> active = 0;
  std::atomic<uint64_t> bytes_in = 0;
  std::atomic<uint64_t> bytes_out = 0;
  std::atomic<uint64_t> refused = 0;  // the backend could not take the descriptor

  // One writer: a load and a store, without the bus lock of fetch_add.
  static void Add(std::atomic<uint64_t>& counter, uint64_t n) {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
};

// Owns its connections: each lives until its session was told OnClosed(). Destroy it before its
// loop; that aborts what is left, and is allowed at any moment, also in a callback of one of its
// sessions. Loop's thread only, executor() and counters() excepted.
class ConnectionGroup {
 public:
  // `counters` must outlive the group; null makes it keep its own.
  ConnectionGroup(EventLoop& loop, ConnectionOptions options,
                  ConnectionCounters* counters = nullptr);
  ~ConnectionGroup();
  ConnectionGroup(const ConnectionGroup&) = delete;
  ConnectionGroup& operator=(const ConnectionGroup&) = delete;

  // Takes a connected socket and calls OnOpen(). The pointer is good until the session's OnClosed()
  // has returned. On error (of Backend::Add()) the socket is closed and the session destroyed
  // without a call.
  absl::StatusOr<Connection*> Adopt(Socket socket, std::unique_ptr<Session> session);

  // Connects `socket` to `address`; OnOpen() is called once it is connected, OnClosed() with
  // kConnectFailed or kConnectTimeout, and without OnOpen(), when it could not be. Zero: no timeout
  // but the kernel's.
  absl::StatusOr<Connection*> Connect(Socket socket, const Address& address, Duration timeout,
                                      std::unique_ptr<Session> session);

  // Calls every session's OnDrain(), and that of each connection added later.
  void Drain();
  // Ends every connection at once: with FIN where the session is idle or everything was sent, with
  // a reset where work is unfinished (kAborted). For the deadline of a drain.
  void EndAll();
  // Aborts every connection.
  void AbortAll(CloseReason reason);

  // What Transport::stopping() answers.
  void set_stopping(bool stopping) { stopping_ = stopping; }
  bool stopping() const { return stopping_; }

  // Called after a connection has ended and was taken out.
  void set_on_closed(std::function<void()> on_closed) { on_closed_ = std::move(on_closed); }

  size_t size() const { return size_; }
  EventLoop& loop() { return loop_; }
  const ConnectionOptions& options() const { return options_; }
  BlockPool& pool() { return pool_; }
  const std::shared_ptr<LoopExecutor>& executor() const { return executor_; }
  ConnectionCounters& counters() { return *counters_; }

 private:
  friend class Connection;

  absl::StatusOr<Connection*> Add(Socket socket, std::unique_ptr<Session> session, bool connecting);
  void Remove(Connection& connection);
  // Calls `visit` with each connection; connections may be added and may end meanwhile.
  template <typename Visit>
  void ForEach(Visit&& visit);

  EventLoop& loop_;
  const ConnectionOptions options_;
  ConnectionCounters own_counters_;
  ConnectionCounters* const counters_;
  BlockPool pool_;
  std::shared_ptr<LoopExecutor> executor_;
  std::function<void()> on_closed_;
  Connection* first_ = nullptr;  // intrusive list, newest first
  size_t size_ = 0;
  bool draining_ = false;
  bool stopping_ = false;
};

}  // namespace quintet

#endif  // QUINTET_NET_CONNECTION_GROUP_H_
