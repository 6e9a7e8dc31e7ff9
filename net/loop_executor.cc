#include "net/loop_executor.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace quintet {

bool LoopExecutor::Post(Task task) {
  if (!Enter()) return false;
  loop_->Post(std::move(task));
  Leave();
  return true;
}

absl::Status LoopExecutor::TryPost(Task task, size_t limit) {
  if (!Enter()) return absl::UnavailableError("the loop has ended");
  // Leaves the task to this function when there is no room: its destructor is the user's and may
  // call Close(), which would wait for this caller.
  const bool posted = loop_->TryPost(std::move(task), limit);
  Leave();
  if (posted) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the queue of the loop is full: ", limit, " tasks wait"));
}

bool LoopExecutor::Enter() {
  // Whoever comes late does not even count, and so cannot hold up Close().
  if ((word_.load(std::memory_order_relaxed) & kClosed) != 0) return false;
  if ((word_.fetch_add(1, std::memory_order_acquire) & kClosed) == 0) return true;
  Leave();
  return false;
}

void LoopExecutor::Leave() {
  // Release: what was done with the loop is done before Close() returns.
  if (word_.fetch_sub(1, std::memory_order_release) == (kClosed | 1)) word_.notify_all();
}

void LoopExecutor::Close() {
  uint32_t word = word_.fetch_or(kClosed, std::memory_order_acquire) | kClosed;
  while (word != kClosed) {
    word_.wait(word, std::memory_order_acquire);
    word = word_.load(std::memory_order_acquire);
  }
}

}  // namespace quintet
