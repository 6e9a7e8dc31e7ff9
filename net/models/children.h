// The forked children of a server.
#ifndef QUINTET_NET_MODELS_CHILDREN_H_
#define QUINTET_NET_MODELS_CHILDREN_H_

#include <sys/types.h>

#include <memory>
#include <set>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "net/models/signal_relay.h"
#include "net/unique_fd.h"

namespace quintet {

// Forks, and waits for what it has forked and for nobody else's children. One thread, which must
// stay for as long as there are children: they are killed when it ends.
class Children {
 public:
  // From here on SIGCHLD has a handler, and is not blocked in the calling thread. Errors:
  // ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<Children>> Create();
  // Kills those that are left, and waits for them. SIGCHLD is as it was before.
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Forks; the child runs `main` and ends with what it returns, without destructors. Returns its
  // number, or -errno of fork(2).
  //
  // In the child SIGCHLD is as by default, SIGINT and SIGTERM do nothing, other signals are as in
  // the parent. It is sent SIGKILL when its parent has ended.
  pid_t Start(absl::FunctionRef<int()> main);

  // Readable when children may have ended.
  int fd() const { return ended_.get(); }
  // Waits for every child that has ended, without blocking, and calls `on_ended` with its status as
  // by waitpid(2); that may start new ones. A child for which somebody else has waited ended with
  // status 0.
  void Reap(absl::FunctionRef<void(pid_t pid, int status)> on_ended);

  size_t size() const { return pids_.size(); }
  void Kill(int signo);

 private:
  explicit Children(UniqueFd ended) : ended_(std::move(ended)) {}

  bool ReapOne(pid_t pid, int options, absl::FunctionRef<void(pid_t, int)> on_ended);

  const UniqueFd ended_;
  std::unique_ptr<SignalRelay> relay_;
  bool was_blocked_ = false;  // SIGCHLD, in the thread
  std::set<pid_t> pids_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_CHILDREN_H_
