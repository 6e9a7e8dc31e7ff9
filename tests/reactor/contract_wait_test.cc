// The contract of Backend: waiting and waking.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/backend_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;

using WaitTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, WaitTest, AllBackends(), KindName);

TEST_P(WaitTest, PollOnlyDoesNotBlock) {
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Turn(kPollOnly), 0U);
  EXPECT_EQ(backend().stats().waits, 100U);
}

TEST_P(WaitTest, PollOnlySeesWhatIsThere) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  ASSERT_TRUE(SendAll(pair.peer.get(), "there"));
  Turn(kPollOnly);
  EXPECT_EQ(source.received(), "there");
}

TEST_P(WaitTest, DeadlineIsNeverEarly) {
  for (const Duration wait : {Duration(1), Duration(microseconds(1)), Duration(microseconds(999)),
                              Duration(milliseconds(1)), Duration(microseconds(1500)),
                              Duration(milliseconds(7)), Duration(milliseconds(30))}) {
    for (int i = 0; i < 5; ++i) {
      const TimePoint deadline = clock().Now() + wait;
      EXPECT_EQ(Turn(deadline), 0U);
      EXPECT_GE(clock().Now(), deadline);
    }
  }
}

TEST_P(WaitTest, DeadlineInThePastDoesNotBlock) {
  Turn(clock().Now() - hours(1));
  Turn(TimePoint());
  Turn(kPollOnly + Duration(1));
  EXPECT_EQ(backend().stats().waits, 3U);
}

TEST_P(WaitTest, FarDeadlinesBlockAndWakeEndsThem) {
  for (const TimePoint deadline :
       {clock().Now() + hours(24 * 365), kNever - Duration(1), kNever - hours(1), kNever}) {
    std::atomic<bool> woken = false;
    std::thread waker([&] {
      std::this_thread::sleep_for(milliseconds(30));
      woken = true;
      backend().Wake();
    });
    EXPECT_EQ(Turn(deadline), 0U);
    EXPECT_TRUE(woken);
    waker.join();
  }
}

TEST_P(WaitTest, WakeThatCameFirstIsNotLost) {
  backend().Wake();
  Turn(kNever);
  EXPECT_EQ(backend().stats().wakes, 1U);
  // Once is enough for several.
  for (int i = 0; i < 100; ++i) backend().Wake();
  Turn(kNever);
  ExpectSilence();
}

TEST_P(WaitTest, WakeFromAnotherThreadEndsEachWait) {
  const int rounds = Scaled(2000);
  std::atomic<int> asked = 0;
  std::atomic<int> woken = 0;
  std::thread waker([&] {
    for (int i = 1; i <= rounds; ++i) {
      while (asked < i) std::this_thread::yield();
      woken = i;
      backend().Wake();
    }
  });
  for (int i = 1; i <= rounds; ++i) {
    asked = i;
    // Would last for ever if a single one got lost.
    while (woken < i) Turn(kNever);
  }
  waker.join();
}

Backend* woken_by_handler = nullptr;
void WakeHandler(int) { woken_by_handler->Wake(); }

// Installs a handler for as long as it lives.
class ScopedHandler {
 public:
  ScopedHandler(int signo, void (*handler)(int)) : signo_(signo) {
    struct sigaction action {};
    action.sa_handler = handler;  // without SA_RESTART
    EXPECT_EQ(::sigaction(signo, &action, &before_), 0);
  }
  ~ScopedHandler() { ::sigaction(signo_, &before_, nullptr); }

 private:
  const int signo_;
  struct sigaction before_ {};
};

TEST_P(WaitTest, WakeFromASignalHandler) {
  if (kThreadSanitizer) GTEST_SKIP() << "TSan holds signals back while a call blocks";
  woken_by_handler = &backend();
  const ScopedHandler handler(SIGUSR1, WakeHandler);
  const pthread_t self = ::pthread_self();
  std::atomic<bool> done = false;
  std::thread sender([&] {
    while (!done) {
      ::pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  for (int i = 0; i < 20; ++i) {
    const uint64_t before = backend().stats().wakes;
    while (backend().stats().wakes == before) Turn(kNever);
  }
  done = true;
  sender.join();
}

std::atomic<int> interruptions = 0;
void CountInterruption(int) { ++interruptions; }

TEST_P(WaitTest, InterruptionsBySignalsAreInvisible) {
  if (kThreadSanitizer) GTEST_SKIP() << "TSan holds signals back while a call blocks";
  interruptions = 0;
  const ScopedHandler handler(SIGALRM, CountInterruption);
  const itimerval storm{.it_interval = {0, 1000}, .it_value = {0, 1000}};
  const itimerval calm{};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &storm, nullptr), 0);
  // A wait with a deadline lasts until it.
  for (int i = 0; i < 5; ++i) {
    const TimePoint deadline = clock().Now() + milliseconds(20);
    const uint64_t waits = backend().stats().waits;
    EXPECT_EQ(Turn(deadline), 0U);
    EXPECT_GE(clock().Now(), deadline);
    EXPECT_EQ(backend().stats().waits, waits + 1);
  }
  // Traffic goes on, without an EINTR for anybody.
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  for (size_t i = 1; i <= 50; ++i) {
    EXPECT_TRUE(SendAll(pair.peer.get(), "x"));
    Send(source, "y");
    EXPECT_TRUE(
        PumpUntil([&] { return source.received().size() == i && source.Count(Op::kSend) == i; }));
  }
  // And an endless one is ended by Wake() alone.
  std::atomic<bool> woken = false;
  std::thread waker([&] {
    std::this_thread::sleep_for(milliseconds(30));
    woken = true;
    backend().Wake();
  });
  Turn(kNever);
  EXPECT_TRUE(woken);
  waker.join();
  ASSERT_EQ(::setitimer(ITIMER_REAL, &calm, nullptr), 0);
  EXPECT_GT(interruptions, 10);
  for (const auto& record : source.records()) EXPECT_GT(record.result, 0);
}

TEST_P(WaitTest, CompletionsThatWereLeftMakeTheNextWaitReturn) {
  SocketPair pairs[3] = {MakeUnixPair(), MakeUnixPair(), MakeUnixPair()};
  for (SocketPair& pair : pairs) {
    RecordingSource& source = AddSource(std::move(pair.ours));
    backend().StartRecv(source);
    ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
  }
  int delivered = 0;
  while (delivered < 3) {
    backend().Wait(kNever);
    Completion completion;
    // One a turn, however many there are.
    if (backend().Next(&completion)) {
      ++delivered;
      completion.source->OnCompletion(completion);
    }
  }
  EXPECT_EQ(delivered, 3);
}

TEST_P(WaitTest, SendCompletionDoesNotWaitForAnything) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  Send(source, "x");
  while (source.Count(Op::kSend) == 0) Turn(kNever);
  CloseAndPump(source);
}

TEST_P(WaitTest, NextWithoutWaitIsHarmless) {
  Completion completion;
  EXPECT_FALSE(backend().Next(&completion));
  EXPECT_FALSE(backend().Next(&completion));
}

}  // namespace
}  // namespace quintet::testing
