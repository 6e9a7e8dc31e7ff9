#include "apps/program/signal_thread.h"

#include <errno.h>
#include <pthread.h>

#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "reactor/signal_set.h"

namespace quintet::program {

BlockedSignals::BlockedSignals(std::span<const int> signals) : signals_(SignalSet(signals)) {
  ::pthread_sigmask(SIG_BLOCK, &signals_, &former_);
}

BlockedSignals::~BlockedSignals() {
  const timespec at_once{};
  while (::sigtimedwait(&signals_, nullptr, &at_once) > 0 || errno == EINTR) {
  }
  ::pthread_sigmask(SIG_SETMASK, &former_, nullptr);
}

absl::StatusOr<std::unique_ptr<SignalThread>> SignalThread::Start(std::span<const int> signals,
                                                                  std::function<void(int)> action) {
  std::unique_ptr<SignalThread> result(new SignalThread(signals, std::move(action)));
  // A thread starts with the mask of the one that makes it.
  sigset_t all;
  sigset_t former;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &former);
  absl::Status status;
  try {
    result->thread_ = std::thread(&SignalThread::Run, result.get());
  } catch (const std::system_error& error) {
    status =
        absl::UnavailableError(std::string("cannot start a thread for signals: ") + error.what());
  }
  ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
  if (!status.ok()) return status;
  return result;
}

SignalThread::SignalThread(std::span<const int> signals, std::function<void(int)> action)
    : signals_(SignalSet(signals)), wake_(signals.front()), action_(std::move(action)) {}

SignalThread::~SignalThread() {
  if (!thread_.joinable()) return;
  stop_ = true;
  ::pthread_kill(thread_.native_handle(), wake_);
  thread_.join();
}

void SignalThread::Run() {
  while (true) {
    const int signo = ::sigwaitinfo(&signals_, nullptr);
    if (stop_) return;
    // EINTR: SIGSTOP and SIGCONT (signal(7)).
    if (signo > 0) action_(signo);
  }
}

}  // namespace quintet::program
