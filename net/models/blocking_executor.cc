#include "net/models/blocking_executor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace quintet {

BlockingExecutor::BlockingExecutor() : wakeup_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

bool BlockingExecutor::Post(Task task) {
  {
    // A refused task is destroyed when this has returned: its destructor may do as it likes.
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return true;  // whoever made it one has woken the thread
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wakeup_.get(), &one, sizeof(one));
  return true;
}

std::vector<Task> BlockingExecutor::Take() {
  // Before the tasks are taken: a wake-up for what comes behind them must not be lost.
  uint64_t count;
  [[maybe_unused]] const ssize_t bytes = ::read(wakeup_.get(), &count, sizeof(count));
  std::vector<Task> tasks;
  const std::lock_guard lock(mutex_);
  swap(tasks, tasks_);
  return tasks;
}

std::vector<Task> BlockingExecutor::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  return std::exchange(tasks_, {});
}

}  // namespace quintet
