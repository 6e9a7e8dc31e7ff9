// Accepts for workers that do not: gives each connection to the one that has the fewest.
#ifndef QUINTET_NET_ACCEPTOR_H_
#define QUINTET_NET_ACCEPTOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "net/listen_sockets.h"
#include "net/listener.h"
#include "net/socket.h"
#include "net/worker_counters.h"
#include "reactor/event_loop.h"

namespace quintet {

// On one loop, which must outlive it; all calls on that loop's thread.
class Acceptor {
 public:
  // How long it waits when no worker can take a connection, before it asks again: connections wait
  // in the kernel meanwhile.
  static constexpr Duration kRetryInterval = std::chrono::milliseconds(10);

  // A worker. The acceptor counts what it has given, so that a burst is spread although the
  // worker's own counters are behind.
  class Taker {
   public:
    // `max_connections` 0: no limit. `counters` must outlive the taker.
    Taker(const WorkerCounters& counters, size_t max_connections);
    virtual ~Taker() = default;
    Taker(const Taker&) = delete;
    Taker& operator=(const Taker&) = delete;

    // Connections it has, with those on their way.
    uint64_t load() const;

   protected:
    // Takes the socket, or leaves it where it is and returns false: not now.
    virtual bool Take(Socket& socket) = 0;

   private:
    friend class Acceptor;

    uint64_t taken() const;
    bool full() const { return max_connections_ > 0 && load() >= max_connections_; }

    const WorkerCounters& counters_;
    const size_t max_connections_;
    const uint64_t taken_before_;  // by whoever used the counters earlier
    uint64_t given_ = 0;
  };

  explicit Acceptor(EventLoop& loop) : loop_(loop) {}
  ~Acceptor() { loop_.Cancel(retry_timer_); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Starts accepting from every socket of the set. Errors: those of Listener::Create().
  absl::Status Start(const ListenSockets& sockets);
  // Stops for good; `on_finished` is called when the last connection has been given away, to takers
  // above their limit if need be, or dropped where there are no takers. Those who wait in the
  // `abandoned` of the sockets, by index, belong to them (Backlog::kTake). A second call replaces
  // `on_finished`.
  void Finish(std::span<const size_t> abandoned, std::function<void()> on_finished);

  // Takers are the caller's. One that is removed gets nothing more.
  void Add(Taker* taker);
  void Remove(Taker* taker);

 private:
  void OnAccept(Socket socket);
  bool Give(Socket& socket);
  void Retry();
  void Rest();
  void OnListenerFinished(const Listener* listener);
  void FinishIfDone();

  EventLoop& loop_;
  std::vector<ListenerPtr> listeners_;  // as the sockets, until they finish
  std::vector<Taker*> takers_;
  std::deque<Socket> waiting_;  // accepted, and nobody takes them yet
  std::function<void()> on_finished_;
  TimerHandle retry_timer_;
  size_t next_ = 0;  // where the search begins: of equals, the one whose turn it is
  bool finishing_ = false;
  bool resting_ = false;
};

}  // namespace quintet

#endif  // QUINTET_NET_ACCEPTOR_H_
