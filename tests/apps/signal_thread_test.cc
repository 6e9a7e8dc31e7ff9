#include "apps/program/signal_thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace quintet::program {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr int kSignals[] = {SIGUSR1, SIGUSR2};

bool IsBlocked(int signo) {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, signo) == 1;
}

// What the thread was given, and with which mask.
class Recorder {
 public:
  void operator()(int signo) {
    const std::lock_guard<std::mutex> lock(mutex_);
    taken_.push_back(signo);
    thread_ = std::this_thread::get_id();
    child_signals_blocked_ = IsBlocked(SIGCHLD);
    changed_.notify_all();
  }

  [[nodiscard]] bool WaitFor(const std::vector<int>& signals) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return taken_ == signals; });
  }
  std::thread::id thread() const { return thread_; }
  bool child_signals_blocked() const { return child_signals_blocked_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> taken_;
  std::thread::id thread_;
  bool child_signals_blocked_ = false;
};

TEST(SignalThreadTest, TakesSignalsOnAThreadThatRunsNoOtherHandlers) {
  const BlockedSignals blocked(kSignals);
  // One that came before.
  ASSERT_EQ(::kill(::getpid(), SIGUSR2), 0);
  Recorder recorder;
  const auto thread = SignalThread::Start(kSignals, [&recorder](int signo) { recorder(signo); });
  ASSERT_TRUE(thread.ok()) << thread.status();
  EXPECT_TRUE(recorder.WaitFor({SIGUSR2}));
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  EXPECT_TRUE(recorder.WaitFor({SIGUSR2, SIGUSR1}));
  EXPECT_NE(recorder.thread(), std::this_thread::get_id());
  EXPECT_TRUE(recorder.child_signals_blocked());
  EXPECT_FALSE(IsBlocked(SIGCHLD));
}

TEST(SignalThreadTest, EndsWithItsObjectAndCallsNobodyThen) {
  const BlockedSignals blocked(kSignals);
  for (int round = 0; round < 100; ++round) {
    int calls = 0;
    {
      ASSERT_TRUE(SignalThread::Start(kSignals, [&calls](int) { ++calls; }).ok());
    }
    EXPECT_EQ(calls, 0);
  }
}

TEST(SignalThreadTest, WhatNobodyTookIsDroppedAndTheMaskIsAsBefore) {
  ASSERT_FALSE(IsBlocked(SIGUSR1));
  {
    const BlockedSignals blocked(kSignals);
    EXPECT_TRUE(IsBlocked(SIGUSR1));
    // Would end the test.
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    ASSERT_EQ(::kill(::getpid(), SIGUSR2), 0);
  }
  EXPECT_FALSE(IsBlocked(SIGUSR1));
  EXPECT_FALSE(IsBlocked(SIGUSR2));
}

}  // namespace
}  // namespace quintet::program
