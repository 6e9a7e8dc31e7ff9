// A listening socket on a loop, with pause and recovery when descriptors run out.
#ifndef QUINTET_NET_LISTENER_H_
#define QUINTET_NET_LISTENER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/socket.h"
#include "reactor/backend.h"
#include "reactor/event_loop.h"
#include "reactor/source.h"

namespace quintet {

// Binds and listens, before any loop is concerned: shards listen with several sockets.
struct ListenOptions {
  int backlog = 1024;
  bool reuse_port = false;  // SO_REUSEPORT, on IP addresses
};
// The address's port may be 0: ask the socket for the real one. A Unix socket file that nobody
// answers on is stale and replaced; one that answers is AlreadyExists, as is a port in use. On TCP
// the accepted sockets inherit TCP_NODELAY.
absl::StatusOr<Socket> ListenOn(const Address& address, const ListenOptions& options);
// The same up to bind(2): the address is taken, and connections are refused until Listen().
absl::StatusOr<Socket> BindTo(const Address& address, const ListenOptions& options);

// Hands accepted sockets to a callback. Held through ListenerPtr. Loop's thread only.
//
// Out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) it pauses: clients wait in the
// backlog, the loop goes on, and every kRetryInterval, and at each Retry(), it tries again. An
// episode (see exhaustions()) is logged once, when it begins.
class Listener final : public Source {
 public:
  static constexpr Duration kRetryInterval = std::chrono::milliseconds(100);

  // A connected, non-blocking socket. May destroy the listener.
  using Callback = std::function<void(Socket socket)>;

  struct Deleter {
    void operator()(Listener* listener) const { listener->Destroy(); }
  };
  using Ptr = std::unique_ptr<Listener, Deleter>;

  // Whether other loops accept from the same socket (Backend::ShareAccept()).
  enum class Sharing : uint8_t { kAlone, kShared };

  // Starts accepting. Errors: those of Backend::Add().
  static absl::StatusOr<Ptr> Create(EventLoop& loop, Socket socket, Callback on_accept,
                                    Sharing sharing = Sharing::kAlone);

  // Stops and restarts accepting; what was accepted meanwhile is still handed over.
  void Pause();
  void Resume();
  // Stops for good, also during a pause. `on_finished` is called when the last connection that the
  // kernel had accepted was handed over, with Backlog::kTake also those that waited to be, and may
  // destroy the listener: none is lost then. Once.
  void Finish(Backlog backlog, std::function<void()> on_finished);
  // Tries to accept now. For sockets that others accept from too, one of whom may have left with
  // the wake-up for a connection.
  void Look();
  // A descriptor may have become free: ends a pause for exhaustion now, not at the next interval.
  void Retry();

  // Called when an episode of exhaustion begins.
  void set_on_exhausted(std::function<void()> on_exhausted) {
    on_exhausted_ = std::move(on_exhausted);
  }

  uint64_t accepted() const { return accepted_; }
  // Episodes of exhaustion: runs of it with less than two retry intervals between them.
  uint64_t exhaustions() const { return exhaustions_; }

 private:
  Listener(EventLoop& loop, int fd, Callback on_accept);
  ~Listener() override = default;

  void OnCompletion(const Completion& completion) override;
  void Arm();
  void OnAcceptError(int error);
  void Destroy();

  EventLoop& loop_;
  Callback on_accept_;
  std::function<void()> on_exhausted_;
  TimerHandle retry_timer_;
  TimePoint quiet_until_ = kPollOnly;  // an error before it belongs to the episode at hand
  uint64_t accepted_ = 0;
  uint64_t exhaustions_ = 0;
  std::function<void()> on_finished_;
  bool paused_ = false;  // by Pause()
  bool finishing_ = false;
  bool exhausted_ = false;  // an episode is on
  bool armed_ = false;
  bool destroyed_ = false;
};
using ListenerPtr = Listener::Ptr;

}  // namespace quintet

#endif  // QUINTET_NET_LISTENER_H_
