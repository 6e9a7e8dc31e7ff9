// What a supervisor and its worker processes say to each other.
#ifndef QUINTET_NET_WORKER_CHANNEL_H_
#define QUINTET_NET_WORKER_CHANNEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/drain_plan.h"
#include "net/socket.h"
#include "reactor/event_loop.h"

namespace quintet {

struct WorkerMessage {
  enum class Type : uint8_t {
    // Supervisor to worker.
    kAcceptFrom,  // `sockets`
    kAdopt,       // `socket`: a connection; invalid where its receiver is out of descriptors
    kLook,        // Server::Look()
    kDrain,       // `plan`
    // Worker to supervisor.
    kReady,     // `text`: the backend, and why if it was chosen by itself
    kFailed,    // `text`: why it cannot serve; it ends
    kLeft,      // it stopped accepting from a socket
    kAskLeave,  // it was sent SIGTERM: it wants a successor, then a drain
  };

  Type type = Type::kLook;
  std::vector<size_t> sockets = {};
  DrainPlan plan = {};
  std::string text = {};
  Socket socket = {};
};

// One end of a pair of connected SOCK_SEQPACKET sockets (unix(7)). Messages arrive whole and in
// order. Loop's thread only.
class WorkerChannel {
 public:
  // Longest message, in bytes: text is cut, and sockets are one bit each.
  static constexpr size_t kMaxBytes = 4096;
  // How often a message that found no room is tried again.
  static constexpr Duration kRetryInterval = std::chrono::milliseconds(5);

  static absl::StatusOr<std::pair<Socket, Socket>> CreatePair();

  // `on_message` is called with each message; `on_end` once, when the other end is gone. Both may
  // destroy the channel. Errors: those of EventLoop::Watch().
  static absl::StatusOr<std::unique_ptr<WorkerChannel>> Create(
      EventLoop& loop, Socket socket, std::function<void(WorkerMessage&)> on_message,
      std::function<void()> on_end);
  ~WorkerChannel();
  WorkerChannel(const WorkerChannel&) = delete;
  WorkerChannel& operator=(const WorkerChannel&) = delete;

  // Sends now, or as soon as there is room, before anything sent later. Nothing happens where the
  // other end is gone.
  void Send(WorkerMessage message);
  // Sends now, or leaves the message as it is and returns false.
  bool TrySend(WorkerMessage& message);
  // The same on a socket of CreatePair() that has no channel: for those who have not even the
  // descriptors of a loop.
  static bool SendOn(const Socket& socket, WorkerMessage& message);
  // Delivers what has arrived, before the loop would.
  void Receive();

 private:
  WorkerChannel(EventLoop& loop, Socket socket, std::function<void(WorkerMessage&)> on_message,
                std::function<void()> on_end);

  void SendWaiting();

  EventLoop& loop_;
  const Socket socket_;
  const std::function<void(WorkerMessage&)> on_message_;
  std::function<void()> on_end_;
  WatcherPtr watcher_;
  std::vector<WorkerMessage> waiting_;
  TimerHandle retry_timer_;
  // Tells a callback of this object's that it was destroyed by what it called.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quintet

#endif  // QUINTET_NET_WORKER_CHANNEL_H_
