// Promise 7: transient errors of accept never stop a listener. A process without descriptors left
// rests, says so once, goes on with the connections it has, and heals by itself.
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "tests/promises/accept_faults.h"
#include "tests/promises/client_crowd.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

class AcceptErrorsTest : public PromiseTest {
 protected:
  // A listener on the fixture's loop that adopts into the fixture's group.
  void Listen() {
    TestListener socket = MakeListener();
    address_ = socket.address;
    auto listener = Listener::Create(loop(), Socket(socket.fd.Release()), [this](Socket accepted) {
      ASSERT_TRUE(group()->Adopt(std::move(accepted), MakeSession(EchoScript())).ok());
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    RunFor(std::chrono::milliseconds(5));
  }
  void TearDown() override {
    listener_.reset();
    PromiseTest::TearDown();
  }

  Fd Client() { return ConnectTo(address_); }
  void ExpectService() {
    const Fd client = Client();
    ASSERT_TRUE(SendAll(client.get(), "ping"));
    ASSERT_TRUE(RunUntil([&] {
      pollfd reply{client.get(), POLLIN, 0};
      return ::poll(&reply, 1, 0) > 0;
    }));
    EXPECT_EQ(ReceiveExactly(client.get(), 4), "ping");
  }

  ListenerPtr listener_;
  sockaddr_in address_{};
};

TEST_P(AcceptErrorsTest, TransientErrorsNeverStopTheListener) {
  constexpr int kErrors = 1000;
  constexpr int kBatch = 100;
  MakeGroup();
  {
    const AcceptFaults faults({ECONNABORTED, EINTR, EPROTO, EPERM, ENETDOWN}, kErrors);
    Listen();
    while (faults.left() > 0) {
      std::vector<Fd> clients;
      for (int i = 0; i < kBatch; ++i) clients.push_back(Client());
      const int expected = faults.left() - kBatch;
      ASSERT_TRUE(RunUntil([&] { return faults.left() == expected; })) << faults.left();
      for (Fd& client : clients) Reset(client);
    }
  }
  EXPECT_EQ(loop().backend().stats().accept_retries, static_cast<uint64_t>(kErrors));
  EXPECT_EQ(listener_->accepted(), 0U);
  EXPECT_EQ(listener_->exhaustions(), 0U) << "a transient error was taken for exhaustion";
  ExpectService();
}

TEST_P(AcceptErrorsTest, MemoryExhaustionIsWaitedOut) {
  constexpr int kErrors = 10;
  MakeGroup();
  {
    const AcceptFaults faults({ENOBUFS, ENOMEM}, kErrors);
    Listen();
    std::vector<Fd> clients;
    for (int i = 0; i < kErrors; ++i) clients.push_back(Client());
    ASSERT_TRUE(RunUntil([&] { return faults.left() == 0; })) << faults.left();
  }
  // One, but where the machine itself pauses for longer than an episode may.
  EXPECT_GE(listener_->exhaustions(), 1U);
  EXPECT_LE(listener_->exhaustions(), 4U) << "one episode is one";
  ExpectService();
}

// What Linux makes of a client that is gone again before it is accepted.
TEST_P(AcceptErrorsTest, ClientsThatResetBeforeTheyAreAccepted) {
  constexpr int kClients = 1000;
  constexpr int kBatch = 100;
  MakeGroup();
  Listen();
  for (int sent = 0; sent < kClients; sent += kBatch) {
    for (int i = 0; i < kBatch; ++i) {
      Fd client = Client();
      Reset(client);
    }
    ExpectService();
  }
  ASSERT_TRUE(RunUntil([&] { return group()->size() == 0; })) << group()->size();
}

// Five hundred clients at a server that may hold some fifty.
class DescriptorExhaustionTest : public PromiseTest {
 protected:
  static constexpr int kClients = 500;
  static constexpr rlim_t kDescriptors = 64;

  void SetUp() override {
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    PromiseTest::SetUp();
  }
  void TearDown() override {
    Restore();
    PromiseTest::TearDown();
  }
  // Before the server is made: io_uring looks at the limit when an accept is submitted.
  void LowerLimit() {
    rlimit low = before_;
    low.rlim_cur = kDescriptors;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  }
  void Restore() { ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

  ServerOptions CountingOptions() {
    ServerOptions options;
    // Clients that stay are not waited for at the end.
    options.drain_timeout = std::chrono::milliseconds(10);
    options.loop.backend.log = [this](LogLevel, std::string_view line) {
      if (line.starts_with("accept:")) ++complaints_;
    };
    return options;
  }

  // Brings the server to its limit and checks how it lives there.
  void Exhaust(RunningServer& server, ClientCrowd& crowd) {
    const auto address = server.server().addresses().front();
    ASSERT_EQ(crowd.Connect(address.port()), kClients);
    const TimePoint give_up = SteadyClock().Now() + kPatience;
    while (complaints_ == 0 && SteadyClock().Now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const int served = crowd.Served();
    EXPECT_GT(served, 0);
    EXPECT_LT(served, static_cast<int>(kDescriptors));

    constexpr auto kWindow = std::chrono::milliseconds(600);
    const Duration busy = CpuTime();
    std::this_thread::sleep_for(kWindow);
    EXPECT_LT(CpuTime() - busy, kWindow / 20) << "more than 5 % of a core";
    // Six tries and more have failed by now. One line, but where the machine itself pauses.
    EXPECT_LE(complaints_, 3) << "once per episode";
    EXPECT_EQ(crowd.Ping(), served) << "existing connections go on";
  }

 private:
  static Duration CpuTime() {
    timespec ts;
    EXPECT_EQ(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
    return std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec);
  }

  rlimit before_{};
  std::atomic<int> complaints_ = 0;
};

TEST_P(DescriptorExhaustionTest, HealsAsClientsLeave) {
  ClientCrowd crowd(kClients);
  LowerLimit();
  ScriptedFactory sessions(EchoScript());
  RunningServer server(GetParam(), sessions, CountingOptions());
  Exhaust(server, crowd);
  EXPECT_EQ(crowd.LeaveOnceServed(), kClients);
  // The stop needs no descriptor either.
  server.Stop();
  EXPECT_EQ(server.server().Stats().front().accepted, static_cast<uint64_t>(kClients));
}

// Descriptors may become free outside of the server: nobody tells it.
TEST_P(DescriptorExhaustionTest, HealsWhenTheLimitIsRaised) {
  ClientCrowd crowd(kClients);
  LowerLimit();
  ScriptedFactory sessions(EchoScript());
  RunningServer server(GetParam(), sessions, CountingOptions());
  Exhaust(server, crowd);
  Restore();
  EXPECT_EQ(crowd.ServedInTheEnd(), kClients);
}

INSTANTIATE_TEST_SUITE_P(Backends, AcceptErrorsTest, AllBackends(), KindName);
INSTANTIATE_TEST_SUITE_P(Backends, DescriptorExhaustionTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
