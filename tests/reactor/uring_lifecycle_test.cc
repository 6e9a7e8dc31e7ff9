// UringBackend between its first and its last turn: closing, sleeping and waking, threads.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "reactor/uring_backend.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class UringLifecycleTest : public UringKernelTest {};
INSTANTIATE_TEST_SUITE_P(Kernels, UringLifecycleTest, ::testing::ValuesIn(kUringKernels),
                         UringKernelName);

// ---- Closing ----

TEST_P(UringLifecycleTest, CloseEndsWithFinAndFreesThePortWithinATurn) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [fd, port] = TcpListener();
    RecordingSource& listener = driver->Attach(fd);
    (*driver)->StartAccept(listener);
    const int client = TcpConnect(port);
    ASSERT_TRUE(driver->RunUntil([&] { return listener.accepted.size() == 1; }));
    RecordingSource& source = driver->Attach(listener.accepted[0]);
    (*driver)->StartRecv(source);
    driver->Poll();
    driver->Close(source);
    driver->Close(listener);
    EXPECT_EQ(driver->Turn(seconds(10)), 2u);
    EXPECT_EQ(source.closed, 1);
    EXPECT_EQ(listener.closed, 1);
    char byte;
    EXPECT_EQ(::recv(client, &byte, 1, MSG_DONTWAIT), 0) << strerror(errno);
    ::close(client);
    // TIME_WAIT apart the port is free.
    const int again = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    ::setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_storage storage;
    socklen_t length;
    const sockaddr* address = LoopbackAddress(port, &storage, &length);
    EXPECT_EQ(::bind(again, address, length), 0) << strerror(errno);
    EXPECT_EQ(::listen(again, 1), 0);
    ::close(again);
  });
}

TEST_P(UringLifecycleTest, ClosesWithResetOrKeepsTheDescriptor) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = TcpPair();
    RecordingSource& reset = driver->Attach(a);
    (*driver)->StartRecv(reset);
    driver->Poll();
    driver->Close(reset, CloseMode::kReset);
    ASSERT_TRUE(driver->RunUntil([&] { return reset.closed == 1; }));
    char byte;
    EXPECT_EQ(::recv(b, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    ::close(b);

    const auto [c, d] = TcpPair();
    RecordingSource& kept = driver->Attach(c);
    (*driver)->StartRecv(kept);
    driver->Poll();
    driver->Close(kept, CloseMode::kKeep);
    ASSERT_TRUE(driver->RunUntil([&] { return kept.closed == 1; }));
    EXPECT_GE(::fcntl(c, F_GETFD), 0);
    // Nobody reads it any more but its owner.
    Send(d, "x");
    EXPECT_EQ(::recv(c, &byte, 1, 0), 1);
    ::close(c);
    ::close(d);
  });
}

TEST_P(UringLifecycleTest, ClosesAtOnceWhatHasNothingInFlight) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);  // asked for, not yet with the kernel
    driver->Close(source);
    (*driver)->Close(source, CloseMode::kClose);
    EXPECT_EQ(::fcntl(a, F_GETFD), -1);
    EXPECT_EQ(driver->Poll(), 1u);
    EXPECT_EQ(source.closed, 1);
    EXPECT_EQ(driver->Poll(), 0u);
    ::close(b);
  });
}

// Contract rule 7, with everything in flight that can be.
TEST_P(UringLifecycleTest, AfterCloseOnlyClosedIsDelivered) {
  Run([] {
    auto driver = BackendDriver::Make({});
    for (int round = 0; round < 200; ++round) {
      const auto [a, b] = UnixPair();
      RecordingSource& source = driver->Attach(a);
      (*driver)->StartRecv(source);
      auto block = std::make_unique<std::string>(1 << 20, 'x');
      const auto buffers = Buffers(*block);
      (*driver)->StartSend(source, buffers);
      if (round % 4 != 0) driver->Poll();
      // The send was short and is over; the next one waits for room.
      if (!source.sent.empty()) (*driver)->StartSend(source, buffers);
      if (round % 3 != 0) driver->Poll();
      Send(b, "too late");
      if (round % 2 == 0) (*driver)->Wait(kPollOnly);
      source.sent.clear();
      source.received.clear();
      driver->Close(source);
      ASSERT_TRUE(driver->RunUntil([&] { return source.closed == 1; }));
      EXPECT_EQ(source.after_close, 0);
      block.reset();  // the kernel must not look at it any more
      ::close(b);
    }
  });
}

// A descriptor that is open elsewhere too: no event of it may come after its kClosed.
TEST_P(UringLifecycleTest, NoGhostOfADuplicatedDescriptor) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    const int twin = ::dup(a);
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    driver->Close(source);
    ASSERT_TRUE(driver->RunUntil([&] { return source.closed == 1; }));
    const uint64_t events = (*driver)->stats().events;
    Send(b, "x");
    for (int i = 0; i < 3; ++i) driver->Turn(milliseconds(10));
    EXPECT_EQ((*driver)->stats().events, events);
    char byte;
    EXPECT_EQ(::recv(twin, &byte, 1, 0), 1);
    ::close(twin);
    ::close(b);
  });
}

// ---- Waiting ----

TEST_P(UringLifecycleTest, WaitsUntilTheDeadlineAndNotLonger) {
  Run([] {
    auto driver = BackendDriver::Make({});
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      driver->Turn(milliseconds(20));
      const auto slept = std::chrono::steady_clock::now() - start;
      EXPECT_GE(slept, milliseconds(20));
      EXPECT_LT(slept, seconds(10));
    }
    EXPECT_EQ((*driver)->stats().waits, 5u);
    // Promise 36: asleep means asleep.
    EXPECT_LE((*driver)->stats().wait_syscalls, 10u);
    // A deadline that has passed, and one beyond all timers.
    (*driver)->Wait(std::chrono::steady_clock::now() - seconds(1));
    const auto start = std::chrono::steady_clock::now();
    std::thread waker([&] {
      std::this_thread::sleep_for(milliseconds(20));
      (*driver)->Wake();
    });
    (*driver)->Wait(kNever - std::chrono::hours(24));
    EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(20));
    waker.join();
  });
}

// Contract rule 10: the end of a cancelled operation is nothing to wake up for.
TEST_P(UringLifecycleTest, SleepsOnWhenOnlyItsOwnBusinessCompletes) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    (*driver)->StopRecv(source);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(driver->Turn(milliseconds(50)), 0u);
    EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(50));
    ::close(b);
  });
}

TEST_P(UringLifecycleTest, WakeBeforeAndDuringWait) {
  Run([] {
    auto driver = BackendDriver::Make({});
    (*driver)->Wake();
    (*driver)->Wait(kNever);
    EXPECT_EQ((*driver)->stats().wakes, 1u);
    for (int i = 0; i < 100; ++i) (*driver)->Wake();
    (*driver)->Wait(kNever);
    EXPECT_GE((*driver)->stats().wakes, 2u);
    std::thread waker([&] {
      for (int i = 0; i < 20; ++i) {
        std::this_thread::sleep_for(milliseconds(2));
        (*driver)->Wake();
      }
    });
    const uint64_t wakes = (*driver)->stats().wakes;
    while ((*driver)->stats().wakes < wakes + 5) (*driver)->Wait(kNever);
    waker.join();
    // Nothing is left of them after a while, and the deadline holds.
    driver->Turn(milliseconds(10));
    const auto start = std::chrono::steady_clock::now();
    driver->Turn(milliseconds(30));
    EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
  });
}

// Each wake is answered by the sleeper before the next: a lost one would hang.
TEST_P(UringLifecycleTest, LosesNoWake) {
  Run([] {
    auto driver = BackendDriver::Make({});
    constexpr int kRounds = 20000;
    std::atomic<int> asked{0};
    std::atomic<int> answered{0};
    std::thread waker([&] {
      for (int i = 1; i <= kRounds; ++i) {
        asked.store(i);
        (*driver)->Wake();
        while (answered.load() < i) std::this_thread::yield();
      }
    });
    while (answered.load() < kRounds) {
      (*driver)->Wait(kNever);
      answered.store(asked.load());
    }
    waker.join();
  });
}

// A full completion queue ends the poll behind Wake().
TEST_P(UringLifecycleTest, WakesAfterTheQueueOverflowed) {
  Run([] {
    auto driver = BackendDriver::Make(
        {.sq_entries = 4, .cq_entries = 4, .recv_buffers = 16, .recv_buffer_bytes = 4});
    const auto [a, b] = TcpPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    for (int round = 0; round < 50; ++round) {
      source.received.clear();
      Send(b, std::string(64, 'x'));
      (*driver)->Wake();
      ASSERT_TRUE(driver->RunUntil([&] { return source.received.size() == 64; }));
      driver->Poll();
      (*driver)->Wake();
      (*driver)->Wait(kNever);
    }
    EXPECT_GT((*driver)->stats().cq_overflows, 0u);
    ::close(b);
  });
}

UringBackend* g_woken_by_signal = nullptr;
std::atomic<int> g_signals{0};

TEST_P(UringLifecycleTest, SignalsAreInvisibleAndMayWake) {
  Run([] {
    auto driver = BackendDriver::Make({});
    g_woken_by_signal = nullptr;
    g_signals = 0;
    struct sigaction action {};
    struct sigaction saved {};
    action.sa_handler = [](int) {
      ++g_signals;
      if (g_woken_by_signal != nullptr) g_woken_by_signal->Wake();
    };  // without SA_RESTART
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &saved), 0);
    std::atomic<bool> stop{false};
    const pid_t target = ::gettid();
    std::thread storm([&] {
      while (!stop) {
        ::tgkill(::getpid(), target, SIGUSR1);
        std::this_thread::sleep_for(milliseconds(1));
      }
    });
    const auto start = std::chrono::steady_clock::now();
    (*driver)->Wait(start + milliseconds(50));
    EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(50));
    EXPECT_GT(g_signals.load(), 0);
    g_woken_by_signal = &**driver;
    (*driver)->Wait(kNever);
    EXPECT_GE((*driver)->stats().wakes, 1u);
    stop = true;
    storm.join();
    g_woken_by_signal = nullptr;
    ASSERT_EQ(::sigaction(SIGUSR1, &saved, nullptr), 0);
  });
}

// What a turn left undelivered makes the next Wait return at once.
TEST_P(UringLifecycleTest, DoesNotSleepOverUndeliveredCompletions) {
  Run([] {
    auto driver = BackendDriver::Make({.recv_buffers = 8, .recv_buffer_bytes = 4});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    Send(b, "0123456789abcdef");
    for (int i = 0; i < 4; ++i) EXPECT_EQ(driver->Turn(seconds(600), 1), 1u);
    EXPECT_EQ(source.received, "0123456789abcdef");
    ::close(b);
  });
}

// ---- Threads ----

// Promise 21: prepared on one thread, run on another, torn down on the first.
TEST_P(UringLifecycleTest, IsMadeOnOneThreadAndRunOnAnother) {
  Run([] {
    auto driver = BackendDriver::Make({}, /*bind=*/false);
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    (*driver)->Wake();
    Send(b, "early");
    std::thread([&] {
      ASSERT_TRUE((*driver)->BindToThread().ok());
      (*driver)->Wait(kNever);
      ASSERT_TRUE(driver->RunUntil([&] { return source.received == "early"; }));
      EXPECT_EQ((*driver)->stats().wakes, 1u);
      driver->Drain();
    }).join();
    EXPECT_EQ(source.closed, 1);
    ::close(b);
  });
}

TEST_P(UringLifecycleTest, IsTornDownWithoutEverHavingRun) {
  Run([] {
    auto driver = BackendDriver::Make({}, /*bind=*/false);
    const auto [a, b] = UnixPair();
    RecordingSource source(a);
    ASSERT_TRUE((*driver)->Add(source).ok());
    (*driver)->StartRecv(source);
    std::thread([&] { driver.reset(); }).join();
    EXPECT_EQ(source.closed, 1);
    ::close(b);
  });
}

// The loop's thread has ended with everything in flight; another one cleans up.
TEST_P(UringLifecycleTest, IsTornDownByAnotherThreadAfterItsOwnHasEnded) {
  Run([] {
    const size_t before = OpenDescriptors();
    for (int round = 0; round < 20; ++round) {
      auto driver = BackendDriver::Make({}, /*bind=*/false);
      const auto [fd, port] = TcpListener();
      const auto [a, b] = TcpPair();
      const auto [c, d] = TcpPair();
      RecordingSource listener(fd);
      RecordingSource source(a);
      RecordingSource idle(c);
      auto block = std::make_unique<std::string>(8 << 20, 'x');
      const auto buffers = Buffers(*block);
      std::thread([&] {
        ASSERT_TRUE((*driver)->BindToThread().ok());
        ASSERT_TRUE((*driver)->Add(listener).ok());
        ASSERT_TRUE((*driver)->Add(source).ok());
        ASSERT_TRUE((*driver)->Add(idle).ok());
        (*driver)->StartAccept(listener);
        (*driver)->StartRecv(idle);
        (*driver)->StartRecv(source);
        (*driver)->StartSend(source, buffers);
        driver->Poll();
        if (!source.sent.empty()) (*driver)->StartSend(source, buffers);
        driver->Poll();
      }).join();
      Send(b, "nobody listens");
      source.received.clear();
      driver->Drain();
      block.reset();
      EXPECT_EQ(listener.closed, 1);
      EXPECT_EQ(source.closed, 1);
      // The peers learn of it at once, although the kernel tidies up in the background.
      std::vector<char> sink(1 << 20);
      EXPECT_EQ(::recv(d, sink.data(), 1, MSG_DONTWAIT), 0) << strerror(errno);
      ::close(d);
      ::fcntl(b, F_SETFL, 0);
      while (::read(b, sink.data(), sink.size()) > 0) {
      }
      ::close(b);
      driver.reset();
    }
    EXPECT_EQ(OpenDescriptors(), before);
  });
}

TEST(UringBackendDeathTest, CatchesCallsFromAnotherThread) {
  QUINTET_REQUIRE_URING();
#ifdef NDEBUG
  GTEST_SKIP() << "assertions are off";
#else
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto driver = BackendDriver::Make({});
  const auto [a, b] = UnixPair();
  RecordingSource& source = driver->Attach(a);
  EXPECT_DEATH(std::thread([&] { (*driver)->StartRecv(source); }).join(), "another thread");
  ::close(b);
#endif
}

}  // namespace
}  // namespace quintet
