#include "reactor/file_pool.h"

#include <signal.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reactor/errno_text.h"

namespace quintet {

FilePool::FilePool(int max_threads, Duration idle_time,
                   absl::AnyInvocable<void() const> on_finished, LogFunction log)
    : max_threads_(std::max(max_threads, 1)),
      idle_time_(idle_time),
      on_finished_(std::move(on_finished)),
      log_(std::move(log)) {}

FilePool::~FilePool() {
  std::deque<Job> dropped;
  {
    std::unique_lock lock(mutex_);
    ending_ = true;
    dropped.swap(waiting_);
    work_.notify_all();
    all_ended_.wait(lock, [this] { return threads_ == 0; });
  }
  if (ended_.has_value()) ::pthread_join(*ended_, nullptr);
  // From here on nobody uses what the callbacks own.
  for (const Job& job : finished_) DiscardFileResult(job.request, job.result);
}

void FilePool::Start(FileRequest request, FileDone done) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(request), std::move(done)});
    if (idle_ >= waiting_.size()) {
      work_.notify_one();
      return;
    }
    if (threads_ >= max_threads_) return;
    CountThreads(1);
  }
  if (const int error = StartThread(); error != 0) PerformInPlace(error);
}

std::optional<FilePool::Job> FilePool::Take() {
  const std::lock_guard lock(mutex_);
  if (finished_.empty()) {
    told_ = false;
    return std::nullopt;
  }
  Job job = std::move(finished_.front());
  finished_.pop_front();
  return job;
}

void FilePool::CountThreads(int change) {
  threads_ += change;
  shown_threads_.store(threads_, std::memory_order_relaxed);
}

// 0, or the error.
int FilePool::StartThread() {
  // A thread begins with the mask of its parent: so no signal ever reaches it.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = ::pthread_create(&thread, nullptr, &FilePool::Main, this);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

void* FilePool::Main(void* pool) {
  ::pthread_setname_np(::pthread_self(), "quintet-file");
  static_cast<FilePool*>(pool)->Run();
  return nullptr;
}

void FilePool::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (waiting_.empty()) {
      ++idle_;
      const bool called =
          work_.wait_for(lock, idle_time_, [this] { return ending_ || !waiting_.empty(); });
      --idle_;
      if (!called || waiting_.empty()) break;
    }
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    job.result = PerformFileRequest(job.request);
    lock.lock();
    finished_.push_back(std::move(job));
    if (std::exchange(told_, true)) continue;
    lock.unlock();
    on_finished_();
    lock.lock();
  }
  CountThreads(-1);
  const std::optional<pthread_t> before = std::exchange(ended_, ::pthread_self());
  if (threads_ == 0) all_ended_.notify_all();
  lock.unlock();
  if (before.has_value()) ::pthread_join(*before, nullptr);
}

// No thread could be started. What waits is left to those that run, if there are any.
void FilePool::PerformInPlace(int error) {
  std::deque<Job> stranded;
  {
    const std::lock_guard lock(mutex_);
    CountThreads(-1);
    if (threads_ > 0) return;
    stranded.swap(waiting_);
  }
  if (performed_in_place_ == 0 && log_) {
    log_(LogLevel::kWarning, absl::StrCat("no thread can be started for file requests: ",
                                          ErrnoText(error), "; the loop waits for them itself"));
  }
  for (Job& job : stranded) job.result = PerformFileRequest(job.request);
  performed_in_place_ += stranded.size();
  {
    const std::lock_guard lock(mutex_);
    std::move(stranded.begin(), stranded.end(), std::back_inserter(finished_));
    if (std::exchange(told_, true)) return;
  }
  on_finished_();
}

}  // namespace quintet
