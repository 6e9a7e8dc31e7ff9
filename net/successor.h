// A new program that takes over from this one, with its listening sockets.
#ifndef QUINTET_NET_SUCCESSOR_H_
#define QUINTET_NET_SUCCESSOR_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/listen_sockets.h"
#include "net/socket.h"
#include "reactor/event_loop.h"

namespace quintet {

// Starts the program and watches over it until it serves. Loop's thread only.
//
// The program finds the sockets as sd_listen_fds(3) has it, and in QUINTET_READY_FD the descriptor
// of a socket on which it says its process id, and when it serves (SuccessorReport). It may be a
// wrapper, such as a shell script, that starts the one who says so. It is no child of this process,
// but is given to the init process or the next subreaper: a service manager that has an eye on its
// children takes it for one of its own.
class Successor {
 public:
  struct Events {
    std::function<void(pid_t pid)> on_ready;
    // It ended, or could not be executed, before it served.
    std::function<void()> on_failed;
  };

  // `arguments[0]` is the path of the program. One event comes, and may destroy the object. Errors:
  // ResourceExhausted (descriptors, processes).
  static absl::StatusOr<std::unique_ptr<Successor>> Start(
      EventLoop& loop, const std::vector<std::string>& arguments, const ListenSockets& sockets,
      const std::vector<std::string>& further_environment, Events events);

  // Sends SIGTERM, as Kill() does, where neither event has come.
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  // The process that was started, until another says that it is the successor.
  pid_t pid() const { return said_pid_ > 0 ? said_pid_ : started_pid_; }
  // Signals the process that was started, and the other that is the successor. Before an event: who
  // has ended may have left its number to a stranger.
  void Kill(int signo) const;
  // To one that is ready: a worker of this program has stopped accepting.
  void TellLeft() const;

 private:
  explicit Successor(Events events) : events_(std::move(events)) {}

  void OnReadable();

  const Events events_;
  Socket socket_;
  WatcherPtr watcher_;  // null once an event has come
  std::string said_;
  pid_t started_pid_ = 0;
  pid_t said_pid_ = 0;  // 0 until it has said its first word
};

// In the new program: tells the predecessor. Without one, does nothing.
class SuccessorReport {
 public:
  SuccessorReport() = default;
  // From QUINTET_READY_FD, which is removed; says at once which process this is. Changes the
  // environment: before there are threads. InvalidArgument: there is no such descriptor.
  static absl::StatusOr<SuccessorReport> TakeFromEnvironment();

  // Whether there is a predecessor who waits.
  bool valid() const { return socket_.valid(); }
  // This program serves. Once, on the loop's thread, and not to be moved from then on. Without it,
  // the predecessor learns from the end of this process that it has failed. `on_left` is called
  // when workers of the predecessor have stopped accepting from the sockets that both share, and a
  // last time when it has ended. Errors: those of EventLoop::Watch(); the predecessor has been
  // told.
  absl::Status Ready(EventLoop& loop, std::function<void()> on_left);

 private:
  void OnReadable();

  Socket socket_;
  std::function<void()> on_left_;
  WatcherPtr watcher_;
};

}  // namespace quintet

#endif  // QUINTET_NET_SUCCESSOR_H_
