#include "reactor/task_queue.h"

namespace quintet {

TaskQueue::~TaskQueue() {
  // A task's destructor may push once more: until nothing is left.
  for (TakeBatch(); batch_ != nullptr; TakeBatch()) PopBatch();
}

bool TaskQueue::Push(Task task) { return inbox_.Push(new Node{nullptr, std::move(task)}); }

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
  return node;
}

}  // namespace quintet
