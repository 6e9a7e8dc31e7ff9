#include "reactor/signal_watcher.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <stdexcept>
#include <vector>

#include "tests/support/loop_test.h"

namespace quintet::testing {
namespace {

using SignalWatcherTest = LoopTest;
INSTANTIATE_TEST_SUITE_P(Backends, SignalWatcherTest, AllBackends(), KindName);

bool Blocked(int signo) {
  sigset_t mask;
  EXPECT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &mask), 0);
  return ::sigismember(&mask, signo) == 1;
}

TEST_P(SignalWatcherTest, DeliversTheSignalAndRestoresTheMask) {
  std::vector<int> seen;
  ASSERT_FALSE(Blocked(SIGUSR1));
  for (const int signo : {SIGUSR1, SIGUSR2}) {
    ASSERT_TRUE(loop().WatchSignal(signo, [&](int s) { seen.push_back(s); }).ok());
    EXPECT_TRUE(Blocked(signo));
  }
  for (const int signo : {SIGUSR2, SIGUSR1, SIGUSR2}) {
    const size_t before = seen.size();
    ASSERT_EQ(::kill(::getpid(), signo), 0);
    ASSERT_TRUE(TurnUntil([&] { return seen.size() == before + 1; }));
    EXPECT_EQ(seen.back(), signo);
  }
  loop().UnwatchSignal(SIGUSR1);
  loop().UnwatchSignal(SIGUSR1);
  EXPECT_FALSE(Blocked(SIGUSR1));
  EXPECT_TRUE(Blocked(SIGUSR2));
  DestroyLoop();
  EXPECT_FALSE(Blocked(SIGUSR2));
}

TEST_P(SignalWatcherTest, MaskThatWasSetBeforeStaysSet) {
  sigset_t set;
  sigset_t before;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &set, &before), 0);
  ASSERT_TRUE(loop().WatchSignal(SIGUSR1, [](int) {}).ok());
  loop().UnwatchSignal(SIGUSR1);
  EXPECT_TRUE(Blocked(SIGUSR1));
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

TEST_P(SignalWatcherTest, SameSignalTwiceAndImpossibleOnesAreRefused) {
  ASSERT_TRUE(loop().WatchSignal(SIGUSR1, [](int) {}).ok());
  EXPECT_EQ(loop().WatchSignal(SIGUSR1, [](int) {}).code(), absl::StatusCode::kAlreadyExists);
  for (const int signo : {0, -1, 1000, SIGKILL, SIGSTOP}) {
    EXPECT_EQ(loop().WatchSignal(signo, [](int) {}).code(), absl::StatusCode::kInvalidArgument)
        << signo;
  }
}

TEST_P(SignalWatcherTest, TerminationTwice) {
  int seen = 0;
  ASSERT_TRUE(loop().WatchSignal(SIGTERM, [&](int) { ++seen; }).ok());
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  ASSERT_TRUE(TurnUntil([&] { return seen == 1; }));
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  ASSERT_TRUE(TurnUntil([&] { return seen == 2; }));
}

TEST_P(SignalWatcherTest, CallbackMayRemoveItselfAndWatchAnew) {
  int first = 0;
  int second = 0;
  ASSERT_TRUE(loop()
                  .WatchSignal(SIGUSR1,
                               [&](int) {
                                 ++first;
                                 loop().UnwatchSignal(SIGUSR1);
                                 EXPECT_TRUE(
                                     loop().WatchSignal(SIGUSR1, [&](int) { ++second; }).ok());
                               })
                  .ok());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    ASSERT_TRUE(TurnUntil([&] { return first + second == i; }));
  }
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
}

TEST_P(SignalWatcherTest, CallbackThatThrowsIsCalledAgain) {
  int seen = 0;
  ASSERT_TRUE(loop()
                  .WatchSignal(SIGUSR1,
                               [&](int) {
                                 ++seen;
                                 throw std::runtime_error("signal");
                               })
                  .ok());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    ASSERT_TRUE(TurnUntil([&] { return seen == i; }));
  }
  EXPECT_EQ(loop().stats().exceptions, 3U);
}

int handled = 0;

TEST_P(SignalWatcherTest, SignalPendingWhenTheWatchEndsGoesTheOrdinaryWay) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { ++handled; };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  handled = 0;
  ASSERT_TRUE(loop().WatchSignal(SIGUSR1, [](int) { ADD_FAILURE(); }).ok());
  loop().RunOnce(Duration::zero());
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  EXPECT_EQ(handled, 0);
  DestroyLoop();
  EXPECT_EQ(handled, 1);
  ::sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace quintet::testing
