// Promise 16: select refuses a descriptor that does not fit into its set (FD_SETSIZE, 1024) with a
// clear error and never writes past the set; the other backends take it.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

constexpr int kHighNumbers[] = {1024, 5000};

// Raises the soft limit so that the numbers exist at all.
class SelectLimitTest : public PromiseTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit raised = before_;
    raised.rlim_cur = std::min<rlim_t>(before_.rlim_max, 8192);
    if (raised.rlim_cur <= 5000) GTEST_SKIP() << "RLIMIT_NOFILE is " << before_.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &raised), 0);
    PromiseTest::SetUp();
  }
  void TearDown() override {
    PromiseTest::TearDown();
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

  bool is_select() const { return GetParam() == BackendKind::kSelect; }

  // Fails or works, depending on the backend.
  void ExpectVerdict(const absl::Status& status, int fd) {
    if (!is_select()) {
      EXPECT_TRUE(status.ok()) << status;
      return;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    const std::string text(status.message());
    EXPECT_THAT(text, ::testing::HasSubstr("select"));
    EXPECT_THAT(text, ::testing::HasSubstr(std::to_string(fd)));
    EXPECT_THAT(text, ::testing::HasSubstr("FD_SETSIZE"));
  }

 private:
  rlimit before_{};
};

// Takes every free number below FD_SETSIZE until it is destroyed.
class LowNumbersTaken {
 public:
  LowNumbersTaken() {
    for (;;) {
      Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      EXPECT_TRUE(fd);
      if (!fd || fd.get() >= FD_SETSIZE) return;
      taken_.push_back(std::move(fd));
    }
  }

 private:
  std::vector<Fd> taken_;
};

bool Echoes(const Fd& client) {
  return SendAll(client.get(), "ping") && ReceiveExactly(client.get(), 4) == "ping";
}

TEST_P(SelectLimitTest, Connection) {
  MakeGroup();
  const Fd low = Connect(MakeSession(EchoScript()));
  for (const int number : kHighNumbers) {
    SocketPair pair = MakeTcpPair();
    Fd high(::dup2(pair.ours.get(), number));
    pair.ours.Reset();
    ASSERT_EQ(high.get(), number);
    auto added = group()->Adopt(Socket(high.Release()), MakeSession(EchoScript()));
    ExpectVerdict(added.status(), number);
    EXPECT_EQ(IsOpen(number), added.ok()) << "refused means closed";
    ASSERT_TRUE(SendAll(low.get(), "ping"));
    if (added.ok()) {
      ASSERT_TRUE(SendAll(pair.peer.get(), "pong"));
    }
    RunFor(std::chrono::milliseconds(20));
    EXPECT_EQ(ReceiveExactly(low.get(), 4), "ping");
    EXPECT_EQ(ReceiveExactly(pair.peer.get(), 4), added.ok() ? "pong" : "");
  }
}

TEST_P(SelectLimitTest, Watch) {
  MakeGroup();
  for (const int number : kHighNumbers) {
    SocketPair pair = MakeUnixPair();
    const Fd high(::dup2(pair.ours.get(), number));
    ASSERT_EQ(high.get(), number);
    int calls = 0;
    {
      auto watch =
          loop().Watch(number, Readiness::kReadable, Trigger::kLevel, [&](Readiness) { ++calls; });
      ExpectVerdict(watch.status(), number);
      EXPECT_TRUE(IsOpen(number)) << "a watched descriptor stays its owner's";
      ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
      RunFor(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(calls > 0, !is_select());
    RunFor(std::chrono::milliseconds(5));
  }
}

TEST_P(SelectLimitTest, Connect) {
  const TestListener listener = MakeListener();
  MakeGroup();
  auto address = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&listener.address),
                                       sizeof(listener.address));
  ASSERT_TRUE(address.ok());
  for (const int number : kHighNumbers) {
    auto socket = Socket::CreateStream(*address);
    ASSERT_TRUE(socket.ok());
    ASSERT_EQ(::dup3(socket->fd(), number, O_CLOEXEC), number);
    bool opened = false;
    auto connection =
        group()->Connect(Socket(number), *address, std::chrono::seconds(10),
                         MakeSession({.on_open = [&](ScriptedSession&) { opened = true; }}));
    ExpectVerdict(connection.status(), number);
    EXPECT_EQ(IsOpen(number), connection.ok());
    if (connection.ok()) {
      EXPECT_TRUE(RunUntil([&] { return opened; }));
    }
  }
}

// A loop that finds no low number for its own descriptors says so, too.
TEST_P(SelectLimitTest, Loop) {
  const LowNumbersTaken taken;
  auto loop = EventLoop::Create(LoopOptions());
  EXPECT_EQ(loop.ok(), !is_select()) << loop.status();
}

TEST_P(SelectLimitTest, ServerRefusesAndCounts) {
  constexpr int kBeyond = 5;
  ScriptedFactory sessions(EchoScript());
  RunningServer server(GetParam(), sessions);
  std::vector<Fd> low;
  for (int i = 0; i < 3; ++i) {
    low.push_back(server.Connect());
    ASSERT_TRUE(Echoes(low.back()));
  }
  {
    const LowNumbersTaken taken;
    std::vector<Fd> beyond;
    for (int i = 0; i < kBeyond; ++i) {
      beyond.push_back(server.Connect());
      ASSERT_TRUE(beyond.back());
      if (is_select()) {
        EXPECT_EQ(ReceiveExactly(beyond.back().get(), 1), "") << "a client beyond was served";
      } else {
        EXPECT_TRUE(Echoes(beyond.back()));
      }
    }
    for (const Fd& client : low) EXPECT_TRUE(Echoes(client));
    const ShardStats stats = server.server().Stats().front();
    EXPECT_EQ(stats.refused, is_select() ? kBeyond : 0U);
    EXPECT_EQ(stats.accepted, low.size() + kBeyond);
    EXPECT_EQ(stats.active, low.size() + (is_select() ? 0 : kBeyond));
  }
  // Low numbers are free again.
  const Fd late = server.Connect();
  EXPECT_TRUE(Echoes(late));
  for (const Fd& client : low) EXPECT_TRUE(Echoes(client));
}

INSTANTIATE_TEST_SUITE_P(Backends, SelectLimitTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
