// A thread that waits for signals, for programs whose other threads block in system calls.
#ifndef QUINTET_APPS_PROGRAM_SIGNAL_THREAD_H_
#define QUINTET_APPS_PROGRAM_SIGNAL_THREAD_H_

#include <signal.h>

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <thread>

#include "absl/status/statusor.h"

namespace quintet::program {

// Blocks signals in the calling thread and in those that it starts, also in children, until it is
// destroyed on the same thread. What came meanwhile and nobody took is dropped then.
class BlockedSignals {
 public:
  explicit BlockedSignals(std::span<const int> signals);
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t signals_;
  sigset_t former_;
};

// Takes signals that every thread has blocked. The thread blocks all others, so that handlers run
// on the threads that expect them.
class SignalThread {
 public:
  // `action` is called on the new thread, once for each signal that has come. Errors: Unavailable
  // (no thread could be made).
  static absl::StatusOr<std::unique_ptr<SignalThread>> Start(std::span<const int> signals,
                                                             std::function<void(int)> action);
  // Waits for an action in progress.
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  SignalThread(std::span<const int> signals, std::function<void(int)> action);

  void Run();

  sigset_t signals_;
  const int wake_;  // one of them, which also tells the thread to look at `stop_`
  const std::function<void(int)> action_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_SIGNAL_THREAD_H_
