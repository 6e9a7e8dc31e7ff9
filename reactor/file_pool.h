// Threads that wait for disks, so that a loop need not.
#ifndef QUINTET_REACTOR_FILE_POOL_H_
#define QUINTET_REACTOR_FILE_POOL_H_

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "reactor/clock.h"
#include "reactor/file_request.h"
#include "reactor/log.h"

namespace quintet {

// Performs the file requests of one loop that its backend does not perform itself. A thread is
// started when a request waits and no thread is idle, up to a bound, and ends when it has had
// nothing to do for a while. Signals are blocked in all of them. Start() and Take() belong to the
// loop's thread.
class FilePool final {
 public:
  // How long a thread waits for work: a burst of requests starts each thread once, and a server
  // that has gone quiet keeps none. Starting one costs some 50 microseconds.
  static constexpr Duration kIdleTime = std::chrono::seconds(1);

  struct Job {
    FileRequest request;
    FileDone done;
    int64_t result = 0;
  };

  // `on_finished` is called when Take() has something again after it had nothing: on a thread of
  // the pool, by several at once, or within Start() where no thread could be started.
  FilePool(int max_threads, Duration idle_time, absl::AnyInvocable<void() const> on_finished,
           LogFunction log);

  // Waits for what is being performed, drops the rest, ends the threads, and destroys all callbacks
  // that were not taken.
  ~FilePool();
  FilePool(const FilePool&) = delete;
  FilePool& operator=(const FilePool&) = delete;

  // Hands the request to a thread. Where the system has none to give (pthread_create(3), EAGAIN)
  // and none is running, performs it in place.
  void Start(FileRequest request, FileDone done);

  // One that is over, the first first; nothing when there is none. Until it has said so,
  // `on_finished` is not called again.
  std::optional<Job> Take();

  // Any thread.
  int threads() const { return shown_threads_.load(std::memory_order_relaxed); }
  // Requests that Start() performed in place.
  uint64_t performed_in_place() const { return performed_in_place_; }

 private:
  static void* Main(void* pool);
  int StartThread();
  void Run();
  void CountThreads(int change);
  void PerformInPlace(int error);

  const int max_threads_;
  const Duration idle_time_;
  const absl::AnyInvocable<void() const> on_finished_;
  const LogFunction log_;
  uint64_t performed_in_place_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  std::condition_variable all_ended_;
  std::deque<Job> waiting_;
  std::deque<Job> finished_;
  int threads_ = 0;
  size_t idle_ = 0;
  bool told_ = false;  // on_finished_ was called, or is about to be
  bool ending_ = false;
  // The thread that ended last, to be joined by the next one that ends, or by the destructor.
  std::optional<pthread_t> ended_;
  std::atomic<int> shown_threads_ = 0;  // threads_
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_FILE_POOL_H_
