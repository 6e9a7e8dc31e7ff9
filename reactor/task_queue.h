// Tasks handed to a loop from any thread, and the protocol by which a sleeping loop is woken.
#ifndef QUINTET_REACTOR_TASK_QUEUE_H_
#define QUINTET_REACTOR_TASK_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "reactor/inbox.h"

namespace quintet {

// A callable that runs once. Move-only captures are welcome; small ones need no allocation.
using Task = absl::AnyInvocable<void()>;

// Many producers, one consumer, lossless, first in first out per producer; lock-free.
class TaskQueue {
 public:
  TaskQueue() = default;
  ~TaskQueue();  // destroys what was never run
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  // Any thread. True when the consumer sleeps (or is about to) and the caller must wake it: exactly
  // one of the producers that find it asleep is told so. One allocation.
  [[nodiscard]] bool Push(Task task);

  // What became of TryPush().
  enum class TryPushResult {
    kFull,        // `limit` or more tasks wait: nothing was pushed
    kPushed,      // and the consumer is awake
    kPushedWake,  // and the caller must wake the consumer
  };
  // Any thread: as Push(), but only while fewer than `limit` tasks wait, whoever pushed them. The
  // bound is exact: however many producers try, they never make it more. `task` is moved from only
  // when it was pushed.
  [[nodiscard]] TryPushResult TryPush(Task&& task, size_t limit);

  // Any thread: how many tasks wait, that is, were pushed and have not begun to run. Old as soon as
  // it is known; the consumer, while nobody pushes, is told the truth.
  size_t waiting() const;

  // Consumer: nothing has been pushed that RunBatch() would run. A push may come at any time.
  bool empty() const { return batch_ == nullptr && inbox_.empty(); }

  // Consumer: runs what was in the queue at the time of the call, oldest first, and returns how
  // many that were. Tasks pushed meanwhile wait for the next call. `run` is given each task. If it
  // throws, the tasks behind stay in the queue, in front.
  template <typename Run>
  size_t RunBatch(Run&& run);

  // Consumer, before it blocks: announces sleep. False when there is something to run, and then the
  // consumer must not block.
  [[nodiscard]] bool PrepareToSleep() { return batch_ == nullptr && inbox_.TrySleep(); }
  // Consumer, after it woke up.
  void FinishSleep() { inbox_.EndSleep(); }

 private:
  struct Node {
    Node* next = nullptr;
    Task task;
  };
  static constexpr size_t kCacheLineBytes = 64;

  // Moves what is in the inbox behind what is left of the batch.
  void TakeBatch();
  std::unique_ptr<Node> PopBatch();

  // Written by every producer: on a line of its own, away from what the consumer works with.
  alignas(kCacheLineBytes) Inbox<Node> inbox_;
  // Tasks that were ever pushed, or are about to be. How many wait is the difference of two counts
  // that only grow: so taking a task needs no read-modify-write, and a producer that exchanges this
  // one knows that the difference was at most what it had read.
  std::atomic<uint64_t> pushed_ = 0;
  // The consumer's, oldest first. Empty between calls of RunBatch() unless `run` threw.
  alignas(kCacheLineBytes) Node* batch_ = nullptr;
  Node* batch_last_ = nullptr;
  // Tasks that were ever taken to be run or destroyed. Written by the consumer only.
  std::atomic<uint64_t> taken_ = 0;
};

template <typename Run>
size_t TaskQueue::RunBatch(Run&& run) {
  TakeBatch();
  size_t count = 0;
  while (batch_ != nullptr) {
    const std::unique_ptr<Node> node = PopBatch();
    ++count;
    run(node->task);
  }
  return count;
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_TASK_QUEUE_H_
