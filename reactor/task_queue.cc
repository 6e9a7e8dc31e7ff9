#include "reactor/task_queue.h"

namespace quintet {
namespace {

// How many wait. `taken` was read later than `pushed` and may by then be more.
uint64_t Waiting(uint64_t pushed, uint64_t taken) { return pushed > taken ? pushed - taken : 0; }

}  // namespace

TaskQueue::~TaskQueue() {
  // A task's destructor may push once more: until nothing is left.
  for (TakeBatch(); batch_ != nullptr; TakeBatch()) PopBatch();
}

bool TaskQueue::Push(Task task) {
  Node* const node = new Node{nullptr, std::move(task)};
  // Before the task can be taken, so that it is never taken uncounted.
  pushed_.fetch_add(1, std::memory_order_relaxed);
  return inbox_.Push(node);
}

TaskQueue::TryPushResult TaskQueue::TryPush(Task&& task, size_t limit) {
  const auto full = [this, limit](uint64_t pushed) {
    return Waiting(pushed, taken_.load(std::memory_order_relaxed)) >= limit;
  };
  // Read before taken_, hence acquire: the other way round, what was taken in between would count
  // as waiting. If more was pushed in between, the exchange fails.
  uint64_t pushed = pushed_.load(std::memory_order_acquire);
  if (full(pushed)) return TryPushResult::kFull;
  auto node = std::make_unique<Node>();
  while (!pushed_.compare_exchange_weak(pushed, pushed + 1, std::memory_order_acquire)) {
    if (full(pushed)) return TryPushResult::kFull;
  }
  node->task = std::move(task);
  return inbox_.Push(node.release()) ? TryPushResult::kPushedWake : TryPushResult::kPushed;
}

size_t TaskQueue::waiting() const {
  const uint64_t pushed = pushed_.load(std::memory_order_acquire);
  return static_cast<size_t>(Waiting(pushed, taken_.load(std::memory_order_relaxed)));
}

void TaskQueue::TakeBatch() {
  Node* const newest = inbox_.TakeAll();
  if (newest == nullptr) return;
  Node* oldest = nullptr;
  for (Node* node = newest; node != nullptr;) {
    Node* const older = node->next;
    node->next = oldest;
    oldest = node;
    node = older;
  }
  (batch_ == nullptr ? batch_ : batch_last_->next) = oldest;
  batch_last_ = newest;
}

std::unique_ptr<TaskQueue::Node> TaskQueue::PopBatch() {
  std::unique_ptr<Node> node(batch_);
  batch_ = node->next;
  // One writer: a load and a store, without the bus lock of fetch_add.
  taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return node;
}

}  // namespace quintet
