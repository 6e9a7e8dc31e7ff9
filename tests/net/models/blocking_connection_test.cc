// What a client cannot see of the blocking connection; what it can see, and that it is the same as
// with any other: net/models/model_sessions_test.
#include "net/models/blocking_connection.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/net/scripted_session.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"
#include "tests/support/memory_file.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

// A server that never ends, and counts how often a connection goes to sleep.
class NoEnding final : public Ending {
 public:
  EndStage stage() const override { return EndStage::kServing; }
  bool stopping() const override { return false; }
  int fd(EndStage) const override {
    ++waits;
    return -1;
  }
  TimePoint next() const override { return kNever; }
  void Look() override {}

  mutable std::atomic<int> waits = 0;
};

class BlockingConnectionTest : public DescriptorLeakTest {
 protected:
  void TearDown() override {
    pair = SocketPair();
    DescriptorLeakTest::TearDown();
  }
  // Serves the connection on the calling thread.
  CloseReason Run() {
    BlockingConnection connection(
        Socket(pair.ours.Release()), NewSession(script),
        {.options = options, .counters = counters, .ending = ending, .clock = clock, .log = log});
    return connection.Run();
  }

  SocketPair pair = MakeTcpPair();
  Script script;
  ConnectionOptions options;
  ConnectionCounters counters;
  NoEnding ending;
  SteadyClock clock;
  std::vector<std::string> lines;
  LogFunction log = [this](LogLevel, std::string_view line) { lines.emplace_back(line); };
};

TEST_F(BlockingConnectionTest, CallsInOrderAndCounters) {
  script.on_data = [](Transport& transport, std::string_view bytes) {
    transport.Write(bytes);
    return bytes.size();
  };
  ASSERT_TRUE(SendAll(pair.peer.get(), "echo"));
  ::shutdown(pair.peer.get(), SHUT_WR);
  EXPECT_EQ(Run(), CloseReason::kPeerClosed);
  EXPECT_EQ(script.calls, (std::vector<std::string>{"open", "data", "eof", "closed"}));
  EXPECT_TRUE(script.destroyed);
  EXPECT_EQ(ReceiveToEnd(pair.peer.get()), "echo");
  EXPECT_EQ(counters.opened, 1U);
  EXPECT_EQ(counters.active, 0U);
  EXPECT_EQ(counters.bytes_in, 4U);
  EXPECT_EQ(counters.bytes_out, 4U);
}

// Who waits for nothing of the socket's sleeps, whatever the peer does.
TEST_F(BlockingConnectionTest, APausedReaderSleepsAlsoAfterAReset) {
  script.on_open = [&](Transport& transport) {
    transport.PauseReading();
    transport.SetDeadline(transport.now() + 200ms);
  };
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  Reset(pair.peer);
  EXPECT_EQ(Run(), CloseReason::kDeadline);
  EXPECT_LE(ending.waits, 10);
}

TEST_F(BlockingConnectionTest, WaitsOnlyOnceForEachThingThatHappens) {
  script.on_data = [](Transport& transport, std::string_view bytes) {
    transport.Write(bytes);
    return bytes.size();
  };
  std::thread peer([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(SendAll(pair.peer.get(), "x"));
      EXPECT_EQ(ReceiveExactly(pair.peer.get(), 1), "x");
    }
    ::shutdown(pair.peer.get(), SHUT_WR);
  });
  EXPECT_EQ(Run(), CloseReason::kPeerClosed);
  peer.join();
  EXPECT_LE(ending.waits, 110);
}

TEST_F(BlockingConnectionTest, NoSigpipeFromFilesEither) {
  pair = MakeUnixPair();
  pair.peer.Reset();
  const auto file = MakeFile("x");
  script.on_open = [&](Transport& transport) { transport.WriteFile(file, 0, 1); };
  EXPECT_EQ(Run(), CloseReason::kPeerReset);
  EXPECT_EQ(file.use_count(), 1);
}

// It is told before the zeros, without a wait, and though nothing else happens.
TEST_F(BlockingConnectionTest, ToldOfAShortFileAtOnce) {
  const auto file = MakeFile("file");
  std::vector<uint64_t> missing;
  script.on_open = [&](Transport& transport) {
    transport.WriteFile(file, 0, 6);
    transport.Write("-");
    transport.WriteFile(file, 4, 1);
    transport.Close();
  };
  script.on_file_short = [&](Transport& transport, uint64_t bytes) {
    missing.push_back(bytes);
    EXPECT_EQ(transport.output_bytes(), missing.size() == 1 ? 4U : 1U);
  };
  ::shutdown(pair.peer.get(), SHUT_WR);
  EXPECT_EQ(Run(), CloseReason::kLocal);
  EXPECT_EQ(missing, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(ReceiveToEnd(pair.peer.get()), std::string("file\0\0-\0", 8));
}

// A Unix socket whose peer is gone answers the first send with EPIPE. A SIGPIPE would end the test.
TEST_F(BlockingConnectionTest, NoSigpipe) {
  pair = MakeUnixPair();
  pair.peer.Reset();
  script.on_open = [](Transport& transport) { transport.Write("x"); };
  EXPECT_EQ(Run(), CloseReason::kPeerReset);
}

TEST_F(BlockingConnectionTest, TasksOfOtherThreads) {
  std::string order;
  std::shared_ptr<Executor> executor;
  std::thread other;
  script.on_open = [&](Transport& transport) {
    executor = transport.executor();
    EXPECT_EQ(executor, transport.executor());
    other = std::thread([&] {
      for (char c = 'a'; c <= 'z'; ++c) EXPECT_TRUE(executor->Post([&order, c] { order += c; }));
      EXPECT_TRUE(executor->Post([] { throw std::runtime_error("harmless"); }));
      EXPECT_TRUE(executor->Post([&transport] { transport.Close(); }));
    });
  };
  std::thread peer([&] {
    EXPECT_EQ(ReceiveToEnd(pair.peer.get()), "");
    pair.peer.Reset();
  });
  EXPECT_EQ(Run(), CloseReason::kLocal);
  other.join();
  peer.join();
  EXPECT_EQ(order, "abcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(lines, (std::vector<std::string>{"a task threw: harmless"}));
  // Behind the end.
  const auto held = std::make_shared<int>(1);
  EXPECT_FALSE(executor->Post([held] {}));
  EXPECT_EQ(held.use_count(), 1) << "a task that is refused is destroyed";
}

// What was posted before the end runs, at the latest behind OnClosed().
TEST_F(BlockingConnectionTest, NoTaskIsLost) {
  bool ran = false;
  script.on_data = [&](Transport& transport, std::string_view bytes) {
    transport.Abort(CloseReason::kAborted);
    EXPECT_TRUE(transport.executor()->Post([&] { ran = script.closed(); }));
    return bytes.size();
  };
  ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
  EXPECT_EQ(Run(), CloseReason::kAborted);
  EXPECT_TRUE(ran);
}

TEST_F(BlockingConnectionTest, WithoutADescriptorTasksAreLookedFor) {
  const std::string said = InChild([&]() -> std::string {
    script.on_open = [&](Transport& transport) {
      const rlimit none{.rlim_cur = 0, .rlim_max = 0};
      ::setrlimit(RLIMIT_NOFILE, &none);
      std::thread([executor = transport.executor(), &transport] {
        executor->Post([&transport] { transport.Abort(CloseReason::kAborted); });
      }).detach();
    };
    return std::string(CloseReasonName(Run()));
  });
  EXPECT_EQ(said, "aborted");
}

// Shown all of it at once, a session that answers each byte would meet the cap before the mark.
TEST_F(BlockingConnectionTest, KeptInputComesInPieces) {
  size_t largest = 0;
  script.on_data = [&](Transport& transport, std::string_view bytes) {
    largest = std::max(largest, bytes.size());
    if (script.received.size() < 2) {
      transport.SetDeadline(transport.now() + 1ms);
      return size_t{1};
    }
    return bytes.size();
  };
  script.on_deadline = [](Transport& transport) { transport.ResumeReading(); };
  std::thread peer([&] {
    EXPECT_TRUE(SendAll(pair.peer.get(), PatternBytes(300'000)));
    ::shutdown(pair.peer.get(), SHUT_WR);
  });
  EXPECT_EQ(Run(), CloseReason::kPeerClosed);
  peer.join();
  EXPECT_TRUE(script.received == PatternBytes(300'000));
  // Who leaves something is not shown more until it asks.
  script.calls.resize(6);
  EXPECT_EQ(script.calls,
            (std::vector<std::string>{"open", "data", "deadline", "data", "deadline", "data"}));
  EXPECT_LE(largest, size_t{64} << 10);
}

TEST_F(BlockingConnectionTest, AddressesOfThePeer) {
  absl::StatusOr<Address> before = absl::UnknownError("not asked");
  absl::StatusOr<Address> after = absl::UnknownError("not asked");
  script.on_open = [&](Transport& transport) {
    before = transport.PeerAddress();
    transport.Abort(CloseReason::kAborted);
  };
  script.on_closed = [&](Transport& transport, CloseReason) { after = transport.PeerAddress(); };
  Run();
  EXPECT_TRUE(before.ok()) << before.status();
  EXPECT_EQ(after.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace quintet::testing
