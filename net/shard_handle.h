// A shard of a server, for messages from elsewhere.
#ifndef QUINTET_NET_SHARD_HANDLE_H_
#define QUINTET_NET_SHARD_HANDLE_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "net/loop_executor.h"
#include "reactor/task_queue.h"

namespace quintet {

// A value. May outlive its shard and its server.
class ShardHandle {
 public:
  ShardHandle(std::shared_ptr<LoopExecutor> executor, size_t limit)
      : executor_(std::move(executor)), limit_(limit) {}

  // Any thread, also that of the shard: `task` runs on the shard's thread, within one turn of its
  // loop; tasks of one thread keep their order. Takes no lock. ResourceExhausted: as many tasks
  // wait there as ServerOptions::shard_queue_limit allows. Unavailable: the shard has ended. The
  // task is destroyed then.
  absl::Status Post(Task task) const { return executor_->TryPost(std::move(task), limit_); }

 private:
  std::shared_ptr<LoopExecutor> executor_;
  size_t limit_;
};

}  // namespace quintet

#endif  // QUINTET_NET_SHARD_HANDLE_H_
