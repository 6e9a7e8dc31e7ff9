// Reaches a loop from other threads for as long as there is one.
#ifndef QUINTET_NET_LOOP_EXECUTOR_H_
#define QUINTET_NET_LOOP_EXECUTOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "net/session.h"
#include "reactor/event_loop.h"

namespace quintet {

// Runs tasks on a loop for as long as its owner lets it. It outlives the loop: whoever posts holds
// it by shared_ptr. No locks: a post counts itself in and out of one atomic word, so posting
// threads never wait for one another.
//
//     word                Post, TryPost                   Close
//     open, n inside      -> n + 1, post, -> one less     -> closed; waits for n to become 0
//     closed, n inside    refused                         waits likewise
class LoopExecutor final : public Executor {
 public:
  // `loop` must live until Close() has returned. Null: closed from the start.
  explicit LoopExecutor(EventLoop* loop) : loop_(loop), word_(loop == nullptr ? kClosed : 0) {}
  LoopExecutor(const LoopExecutor&) = delete;
  LoopExecutor& operator=(const LoopExecutor&) = delete;

  // Any thread. False, with the task destroyed, after Close().
  bool Post(Task task) override;

  // Any thread. As Post(), but only while fewer than `limit` tasks wait for the loop (see
  // EventLoop::TryPost()). The task is destroyed on error: ResourceExhausted (the queue is full;
  // says the limit), Unavailable (after Close()).
  absl::Status TryPost(Task task, size_t limit);

  // From here on posts are refused; when it returns nobody uses the loop any more. Any thread,
  // idempotent, also in the destructor of a task that was refused. Waits for calls of Post() and
  // TryPost() that have begun, no longer than a task takes to be queued.
  void Close();

 private:
  // Counts the caller in. False, and not counted, after Close().
  bool Enter();
  void Leave();

  static constexpr uint32_t kClosed = uint32_t{1} << 31;

  EventLoop* const loop_;
  // The callers between Enter() and Leave(), and kClosed. That both are one word leaves no order of
  // two to get wrong: a caller is counted before the bit is set, and waited for, or sees it.
  std::atomic<uint32_t> word_;
};

}  // namespace quintet

#endif  // QUINTET_NET_LOOP_EXECUTOR_H_
