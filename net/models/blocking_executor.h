// Runs tasks of other threads on a thread that blocks in poll(2).
#ifndef QUINTET_NET_MODELS_BLOCKING_EXECUTOR_H_
#define QUINTET_NET_MODELS_BLOCKING_EXECUTOR_H_

#include <mutex>
#include <vector>

#include "net/session.h"
#include "net/unique_fd.h"
#include "reactor/task_queue.h"

namespace quintet {

// Tasks of one thread keep their order. Whoever posts holds it by shared_ptr; it may outlive the
// thread that runs the tasks.
class BlockingExecutor final : public Executor {
 public:
  BlockingExecutor();

  // Any thread. False, with the task destroyed, after Close().
  bool Post(Task task) override;

  // The rest on the thread that runs the tasks.

  // Readable while there are tasks. -1 when there was no descriptor left for it: then Take() has to
  // be called now and then.
  int fd() const { return wakeup_.get(); }
  // What was posted, oldest first.
  std::vector<Task> Take();
  // The same; refuses what comes from here on.
  std::vector<Task> Close();

 private:
  std::mutex mutex_;
  std::vector<Task> tasks_;  // guarded by mutex_
  bool closed_ = false;      // guarded by mutex_
  const UniqueFd wakeup_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_BLOCKING_EXECUTOR_H_
