// Promise 8: the loop sleeps when its user can do nothing. The kernel reports hang-ups and errors
// unasked (poll(2), POLLHUP and POLLERR), again and again while level-triggered, so a loop that
// leaves such a descriptor in the set spins.
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

class LoopSleepsTest : public PromiseTest {
 protected:
  void SetUp() override {
    PromiseTest::SetUp();
    if (IsSkipped() || HasFailure()) return;
    // No deadline of the connections' own disturbs the silence.
    MakeGroup({.write_stall_timeout = Duration::zero(), .linger_timeout = std::chrono::hours(1)});
  }

  // Counts what wakes the loop within `window`; the last wait ends with the window itself.
  void ExpectSleep(Duration window = std::chrono::milliseconds(100), uint64_t wakeups = 1) {
    RunFor(std::chrono::milliseconds(20));  // what has happened so far is dealt with
    const BackendStats before = loop().backend().stats();
    const uint64_t turns_before = loop().stats().turns;
    const TimePoint end = loop().clock().Now() + window;
    while (loop().clock().Now() < end) loop().RunOnce(end - loop().clock().Now());
    const BackendStats& after = loop().backend().stats();
    EXPECT_LE(loop().stats().turns - turns_before, wakeups + 1);
    // Waits that begin again inside the backend would not show as turns.
    EXPECT_LE(after.wait_syscalls - before.wait_syscalls, wakeups + 2);
    EXPECT_LE(after.io_syscalls - before.io_syscalls, wakeups);
  }

  // A connection whose session reads nothing and keeps the connection whatever its peer does.
  Connection* Paused(SocketPair& pair) {
    Connection* const connection =
        Adopt(std::move(pair.ours), MakeSession({.on_open = [](ScriptedSession& session) {
                session.transport().PauseReading();
              }}));
    RunFor(std::chrono::milliseconds(5));
    return connection;
  }
  // One that has read up to the end of file and did not close.
  Connection* HalfClosed(SocketPair& pair) {
    bool ended = false;
    Connection* const connection = Adopt(
        std::move(pair.ours), MakeSession({.on_eof = [&](ScriptedSession&) { ended = true; }}));
    EXPECT_EQ(::shutdown(pair.peer.get(), SHUT_WR), 0);
    EXPECT_TRUE(RunUntil([&] { return ended; }));
    return connection;
  }
};

TEST_P(LoopSleepsTest, Idle) {
  SocketPair pair = MakeTcpPair();
  Adopt(std::move(pair.ours), MakeSession({}));
  ExpectSleep();
}

TEST_P(LoopSleepsTest, PausedAndDataIsThere) {
  SocketPair pair = MakeTcpPair();
  Paused(pair);
  FillSocket(pair.peer.get());
  ExpectSleep();
}

TEST_P(LoopSleepsTest, PausedAndReset) {
  SocketPair pair = MakeTcpPair();
  Paused(pair);
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  Reset(pair.peer);
  ExpectSleep();
}

TEST_P(LoopSleepsTest, PausedAndHalfClosed) {
  SocketPair pair = MakeTcpPair();
  Paused(pair);
  ASSERT_EQ(::shutdown(pair.peer.get(), SHUT_WR), 0);
  ExpectSleep();
}

TEST_P(LoopSleepsTest, PausedAndClosedUnixPeer) {
  SocketPair pair = MakeUnixPair();
  Paused(pair);
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  pair.peer.Reset();
  ExpectSleep();
}

TEST_P(LoopSleepsTest, PausedInTheMiddleOfAStreamAndReset) {
  SocketPair pair = MakeTcpPair();
  bool paused = false;
  Adopt(std::move(pair.ours), MakeSession({.on_data = [&](ScriptedSession& session, auto) {
          session.transport().PauseReading();
          paused = true;
          return size_t{0};
        }}));
  FillSocket(pair.peer.get());
  ASSERT_TRUE(RunUntil([&] { return paused; }));
  Reset(pair.peer);
  ExpectSleep();
}

TEST_P(LoopSleepsTest, AfterEndOfFile) {
  SocketPair pair = MakeTcpPair();
  HalfClosed(pair);
  ExpectSleep();
}

TEST_P(LoopSleepsTest, AfterEndOfFileAndReset) {
  SocketPair pair = MakeTcpPair();
  HalfClosed(pair);
  Reset(pair.peer);
  ExpectSleep();
}

TEST_P(LoopSleepsTest, AfterEndOfFileAndClosedUnixPeer) {
  SocketPair pair = MakeUnixPair();
  HalfClosed(pair);
  pair.peer.Reset();
  ExpectSleep();
}

// Output that waits for a peer which does not read, with nothing more to receive.
TEST_P(LoopSleepsTest, OutputBlockedAfterEndOfFile) {
  SocketPair pair = MakeTcpPair();
  HalfClosed(pair)->Write(std::string(8 << 20, 'o'));
  ExpectSleep();
}

// Both directions are shut down, which the kernel reports as a hang-up; FIN of the peer is seen,
// and the peer has not closed.
TEST_P(LoopSleepsTest, LingeringForThePeer) {
  SocketPair pair = MakeTcpPair();
  Adopt(std::move(pair.ours),
        MakeSession({.on_open = [](ScriptedSession& session) { session.transport().Close(); }}));
  ExpectSleep();
}

TEST_P(LoopSleepsTest, PausedWatchOfAClosedPeer) {
  SocketPair pair = MakeUnixPair();
  int calls = 0;
  auto watch =
      loop().Watch(pair.ours.get(), Readiness::kNone, Trigger::kLevel, [&](Readiness) { ++calls; });
  ASSERT_TRUE(watch.ok()) << watch.status();
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  pair.peer.Reset();
  ExpectSleep();
  EXPECT_EQ(calls, 0);
  watch->reset();
  RunFor(std::chrono::milliseconds(5));
}

// Reading was watched for, then paused, as those do who are full.
TEST_P(LoopSleepsTest, WatchPausedInItsCallback) {
  SocketPair pair = MakeTcpPair();
  int calls = 0;
  WatcherPtr watcher;
  auto watch = loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel, [&](Readiness) {
    ++calls;
    EXPECT_TRUE(watcher->Modify(Readiness::kNone, Trigger::kLevel).ok());
  });
  ASSERT_TRUE(watch.ok()) << watch.status();
  watcher = *std::move(watch);
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  ASSERT_TRUE(RunUntil([&] { return calls > 0; }));
  Reset(pair.peer);
  ExpectSleep();
  EXPECT_EQ(calls, 1);
  watcher.reset();
  RunFor(std::chrono::milliseconds(5));
}

TEST_P(LoopSleepsTest, FarTimerAndEarlierWakes) {
  loop().RunAfter(std::chrono::hours(24), [] {});
  for (int i = 0; i < 100; ++i) loop().backend().Wake();
  loop().Post([] {});
  ExpectSleep();
}

// All at once, for the whole second that the promise speaks of.
TEST_P(LoopSleepsTest, Everything) {
  std::vector<SocketPair> pairs;
  for (int i = 0; i < 16; ++i) pairs.push_back(i % 2 == 0 ? MakeTcpPair() : MakeUnixPair());
  for (size_t i = 0; i < pairs.size(); ++i) {
    SocketPair& pair = pairs[i];
    Connection* const connection = i % 4 < 2 ? Paused(pair) : HalfClosed(pair);
    switch (i / 4) {
      case 0:
        Reset(pair.peer);
        break;
      case 1:
        pair.peer.Reset();
        break;
      case 2:
        ::shutdown(pair.peer.get(), SHUT_RDWR);
        break;
      default:
        connection->Write(std::string(8 << 20, 'o'));
        FillSocket(pair.peer.get());
    }
  }
  ExpectSleep(std::chrono::seconds(1), 3);
}

INSTANTIATE_TEST_SUITE_P(Backends, LoopSleepsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
