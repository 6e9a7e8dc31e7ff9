// Raw readiness on UringBackend: polls in place of registrations.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "reactor/readiness.h"
#include "reactor/uring_backend.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class UringWatchTest : public UringKernelTest {};
INSTANTIATE_TEST_SUITE_P(Kernels, UringWatchTest, ::testing::ValuesIn(kUringKernels),
                         UringKernelName);

// ---- Watching ----

TEST_P(UringWatchTest, LevelReportsInEveryTurn) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    ASSERT_TRUE((*driver)->Watch(source, Readiness::kReadable, Trigger::kLevel).ok());
    driver->Turn(milliseconds(10));
    EXPECT_TRUE(source.ready.empty());
    Send(b, "x");
    // Not asked again while the answer waits for delivery.
    (*driver)->Wait(kNever);
    const uint64_t events = (*driver)->stats().events;
    for (int i = 0; i < 3; ++i) (*driver)->Wait(kNever);
    EXPECT_EQ((*driver)->stats().events, events);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(driver->Turn(seconds(10)), 1u);
    EXPECT_EQ(source.ready, std::vector<int32_t>(5, static_cast<int32_t>(Readiness::kReadable)));
    char byte;
    ASSERT_EQ(::read(a, &byte, 1), 1);
    // One report may be on its way already.
    driver->Turn(milliseconds(10));
    source.ready.clear();
    driver->Turn(milliseconds(10));
    EXPECT_TRUE(source.ready.empty());
    ::close(b);
  });
}

TEST_P(UringWatchTest, EdgeReportsChangesOnly) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    ASSERT_TRUE((*driver)->Watch(source, Readiness::kReadable, Trigger::kEdge).ok());
    driver->Poll();
    Send(b, "x");
    ASSERT_TRUE(driver->RunUntil([&] { return source.ready.size() == 1; }));
    for (int i = 0; i < 3; ++i) driver->Turn(milliseconds(10));
    EXPECT_EQ(source.ready.size(), 1u);
    Send(b, "y");  // holds anew
    ASSERT_TRUE(driver->RunUntil([&] { return source.ready.size() == 2; }));
    // Watching anew looks anew.
    ASSERT_TRUE((*driver)->Watch(source, Readiness::kReadable, Trigger::kEdge).ok());
    ASSERT_TRUE(driver->RunUntil([&] { return source.ready.size() == 3; }));
    for (int i = 0; i < 3; ++i) driver->Turn(milliseconds(10));
    EXPECT_EQ(source.ready.size(), 3u);
    ::close(b);
  });
}

TEST_P(UringWatchTest, ChangesAndPausesAnInterest) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    for (const Trigger trigger : {Trigger::kLevel, Trigger::kEdge}) {
      source.ready.clear();
      ASSERT_TRUE((*driver)->Watch(source, Readiness::kReadable, trigger).ok());
      driver->Turn(milliseconds(10));
      EXPECT_TRUE(source.ready.empty());
      ASSERT_TRUE((*driver)->Watch(source, Readiness::kWritable, trigger).ok());
      ASSERT_TRUE(driver->RunUntil([&] { return !source.ready.empty(); }));
      EXPECT_EQ(source.ready[0], static_cast<int32_t>(Readiness::kWritable));
      ASSERT_TRUE(
          (*driver)->Watch(source, Readiness::kReadable | Readiness::kWritable, trigger).ok());
      Send(b, "x");
      const auto both = static_cast<int32_t>(Readiness::kReadable | Readiness::kWritable);
      ASSERT_TRUE(driver->RunUntil([&] { return source.ready.back() == both; }));
      // Gathered before the pause, not told after it.
      (*driver)->Wait(kPollOnly);
      ASSERT_TRUE((*driver)->Watch(source, Readiness::kNone, trigger).ok());
      source.ready.clear();
      for (int i = 0; i < 3; ++i) driver->Turn(milliseconds(10));
      EXPECT_TRUE(source.ready.empty());
      char byte;
      ASSERT_EQ(::read(a, &byte, 1), 1);
    }
    ::close(b);
  });
}

TEST_P(UringWatchTest, ReportsHangUpAndUrgentData) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = TcpPair();
    RecordingSource& urgent = driver->Attach(a);
    ASSERT_TRUE((*driver)->Watch(urgent, Readiness::kPriority, Trigger::kEdge).ok());
    driver->Poll();
    Send(b, "ordinary");
    for (int i = 0; i < 3; ++i) driver->Turn(milliseconds(5));
    EXPECT_TRUE(urgent.ready.empty());
    ASSERT_EQ(::send(b, "!", 1, MSG_OOB), 1);
    ASSERT_TRUE(driver->RunUntil([&] { return !urgent.ready.empty(); }));
    EXPECT_EQ(urgent.ready[0], static_cast<int32_t>(Readiness::kPriority));
    // Level says it again, and not because of what is ordinary.
    ASSERT_TRUE((*driver)->Watch(urgent, Readiness::kPriority, Trigger::kLevel).ok());
    ASSERT_TRUE(driver->RunUntil([&] { return urgent.ready.size() >= 4; }));
    char sink[16];
    ASSERT_EQ(::recv(a, sink, 1, MSG_OOB), 1);
    while (::recv(a, sink, sizeof(sink), 0) > 0) {
    }
    driver->Turn(milliseconds(5));
    urgent.ready.clear();
    Send(b, "ordinary");
    for (int i = 0; i < 3; ++i) driver->Turn(milliseconds(5));
    EXPECT_TRUE(urgent.ready.empty());
    driver->Drain();
    ::close(b);

    const auto [c, d] = UnixPair();
    RecordingSource& source = driver->Attach(c);
    ASSERT_TRUE((*driver)->Watch(source, Readiness::kReadable, Trigger::kEdge).ok());
    driver->Poll();
    ::shutdown(d, SHUT_WR);
    ASSERT_TRUE(driver->RunUntil([&] { return !source.ready.empty(); }));
    EXPECT_EQ(source.ready.back(),
              static_cast<int32_t>(Readiness::kReadable | Readiness::kReadHangup));
    ::close(d);
    ASSERT_TRUE(driver->RunUntil(
        [&] { return Any(static_cast<Readiness>(source.ready.back()) & Readiness::kHangup); }));
    // Promise 8: an edge, so no spin.
    const uint64_t events = (*driver)->stats().events;
    for (int i = 0; i < 5; ++i) driver->Turn(milliseconds(10));
    EXPECT_LE((*driver)->stats().events, events + 2);
  });
}

// The kernel's poll reports POLLRDHUP unasked. Who watches for writing only is not told, and the
// loop sleeps all the same.
TEST_P(UringWatchTest, SleepsThroughAHalfClosedPeerNobodyReads) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    const std::string block(65536, 'x');
    while (::send(a, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
    ASSERT_TRUE((*driver)->Watch(source, Readiness::kWritable, Trigger::kLevel).ok());
    driver->Poll();
    ::shutdown(b, SHUT_WR);
    driver->Turn(milliseconds(20));
    const uint64_t syscalls = (*driver)->stats().wait_syscalls;
    for (int i = 0; i < 10; ++i) driver->Turn(milliseconds(10));
    EXPECT_LE((*driver)->stats().wait_syscalls, syscalls + 30);
    EXPECT_TRUE(source.ready.empty());
    // It works still: writable again, and again in every turn.
    std::vector<char> sink(1 << 20);
    while (::read(b, sink.data(), sink.size()) > 0) {
    }
    ASSERT_TRUE(driver->RunUntil([&] { return source.ready.size() >= 5; }));
    for (const int32_t ready : source.ready) {
      EXPECT_EQ(ready, static_cast<int32_t>(Readiness::kWritable));
    }
    ::close(b);
  });
}

}  // namespace
}  // namespace quintet
