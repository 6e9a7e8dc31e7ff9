// The forked children of a server.
#ifndef QUINTET_NET_MODELS_CHILDREN_H_
#define QUINTET_NET_MODELS_CHILDREN_H_

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <set>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "net/models/signal_relay.h"
#include "net/unique_fd.h"
#include "reactor/clock.h"

namespace quintet {

// Forks, and waits for what it has forked and for nobody else's children. One thread, which must
// stay for as long as there are children: they are killed when it ends.
class Children {
 public:
  // The program around may wait for "any child" (waitpid(-1)) or take SIGCHLD for itself; then
  // nobody tells that one of these has ended. So each is looked at so often: seldom enough to cost
  // nothing.
  static constexpr Duration kPeriod = std::chrono::seconds(1);

  // From here on SIGCHLD has a handler, and is not blocked in the calling thread. `clock` must
  // outlive it. Errors: ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<Children>> Create(Clock& clock);
  // Kills those that are left, and waits for them. SIGCHLD is as it was before.
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Forks; the child runs `main` and ends with what it returns, without destructors. Returns its
  // number, or -errno of fork(2).
  //
  // In the child SIGCHLD is as by default. SIGINT and SIGTERM do nothing, nor do SIGHUP, SIGQUIT,
  // SIGUSR1 and SIGUSR2 where this thread has them blocked: the parent takes them, by a thread of
  // its own or a descriptor. None of these is blocked there, so that programs which it starts begin
  // without blocked signals, too. Other signals are as in the parent. It is sent SIGKILL when its
  // parent has ended.
  pid_t Start(absl::FunctionRef<int()> main);

  // Reap() is to be called when this is readable, and when next() has come: children may have
  // ended. kNever: there are none.
  int fd() const { return ended_.get(); }
  TimePoint next() const { return pids_.empty() ? kNever : look_at_; }
  // Waits for every child that has ended, without blocking, and calls `on_ended` with its status as
  // by waitpid(2); that may start new ones. A child for which somebody else has waited ended with
  // status 0.
  void Reap(absl::FunctionRef<void(pid_t pid, int status)> on_ended);

  size_t size() const { return pids_.size(); }
  // Sends it to those that are children of this process still: of one for which somebody else has
  // waited the number may be a stranger's.
  void Kill(int signo);

 private:
  Children(Clock& clock, UniqueFd ended) : clock_(clock), ended_(std::move(ended)) {}

  bool ReapOne(pid_t pid, int options, absl::FunctionRef<void(pid_t, int)> on_ended);

  Clock& clock_;
  const UniqueFd ended_;
  TimePoint look_at_ = kPollOnly;  // each of them, the next time
  std::unique_ptr<SignalRelay> relay_;
  bool was_blocked_ = false;  // SIGCHLD, in the thread
  std::set<pid_t> pids_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_CHILDREN_H_
