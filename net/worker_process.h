// One worker process, as its supervisor sees it.
#ifndef QUINTET_NET_WORKER_PROCESS_H_
#define QUINTET_NET_WORKER_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "net/socket.h"
#include "net/worker_channel.h"
#include "reactor/event_loop.h"

namespace quintet {

// Loop's thread only, of a process that has no other threads.
class WorkerProcess {
 public:
  struct Events {
    std::function<void(WorkerMessage&)> on_message;
    // It has ended, and was waited for: no zombie is left. `status` as by waitpid(2). Called once;
    // may destroy the object.
    std::function<void(int status)> on_ended;
  };

  // Forks. The child closes every descriptor but the standard streams, `kept` and its end of the
  // channel, runs `main` with that, and ends with its result, without destructors: what it has of
  // its parent's memory is the parent's to destroy. Signals that the parent has blocked stay
  // blocked. Errors: ResourceExhausted (fork(2), descriptors).
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Start(
      EventLoop& loop, const std::function<int(Socket channel)>& main, std::span<const int> kept,
      Events events);
  // Ends the process with SIGKILL and waits for it, where it has not ended.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }
  WorkerChannel& channel() { return *channel_; }
  // Who is told from now on.
  void set_events(Events events) { events_ = std::move(events); }
  void Kill(int signo);

  // "signal 9 (SIGKILL)", "exit code 3".
  static std::string Describe(int status);

 private:
  WorkerProcess(pid_t pid, Events events) : pid_(pid), events_(std::move(events)) {}

  void OnExit(int status);

  const pid_t pid_;
  Events events_;
  std::unique_ptr<WorkerChannel> channel_;
  ChildWatchPtr exit_watch_;
  bool ended_ = false;
  // Expired for a callback of this object's whose work destroyed it.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quintet

#endif  // QUINTET_NET_WORKER_PROCESS_H_
