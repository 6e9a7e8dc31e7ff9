// Promise 34: no 40 ms stalls. Output is coalesced once a turn, and TCP_NODELAY keeps Nagle's
// algorithm from waiting for the peer's delayed acknowledgement (RFC 1122 section 4.2.3.2).
#include <netinet/tcp.h>

#include <algorithm>
#include <string>
#include <vector>

#include "net/connector.h"
#include "net/listener.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

// Far above a round trip on loopback, far below the 40 ms of a delayed acknowledgement.
constexpr std::chrono::milliseconds kStall{5};

bool NoDelay(int fd) {
  int value = 0;
  socklen_t size = sizeof(value);
  EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
  return value != 0;
}

class NoStallsTest : public PromiseTest {
 protected:
  // Sends one byte and waits for two, `rounds` times; returns the times, shortest first.
  static std::vector<Duration> RoundTrips(int client, int rounds) {
    std::vector<Duration> times;
    for (int i = 0; i < rounds; ++i) {
      const auto start = std::chrono::steady_clock::now();
      if (!SendAll(client, "?") || ReceiveExactly(client, 2) != "ab") break;
      times.push_back(std::chrono::steady_clock::now() - start);
    }
    EXPECT_EQ(times.size(), static_cast<size_t>(rounds));
    std::sort(times.begin(), times.end());
    return times;
  }

  // Delayed acknowledgements stall most rounds once a connection is warm: the median tells, and
  // tells it also on a busy machine.
  static void ExpectNoStalls(const std::vector<Duration>& times) {
    ASSERT_FALSE(times.empty());
    EXPECT_LT(times[times.size() / 2], kStall);
    RecordProperty("p99_us", static_cast<int>(times[times.size() * 99 / 100].count() / 1000));
  }
};

TEST_P(NoStallsTest, TwoSmallWritesOfOneCallbackLeaveInOneSend) {
  MakeGroup();
  const Fd client =
      Connect(MakeSession({.on_data = [](ScriptedSession& session, std::string_view bytes) {
        session.transport().Write("a");
        session.transport().Write("b");
        return bytes.size();
      }}));
  RunFor(std::chrono::milliseconds(2));
  for (int i = 0; i < 10; ++i) {
    const uint64_t before = loop().backend().stats().completions;
    ASSERT_TRUE(SendAll(client.get(), "?"));
    ASSERT_TRUE(RunUntil([&] {
      char reply[2];
      return ::recv(client.get(), reply, 2, MSG_DONTWAIT) == 2;
    }));
    RunFor(std::chrono::milliseconds(1));
    EXPECT_EQ(loop().backend().stats().completions - before, 2U) << "one receive and one send";
  }
}

// Writes in different turns are different segments: here only TCP_NODELAY helps.
TEST_P(NoStallsTest, TwoSmallWritesInTwoTurns) {
  ScriptedFactory factory({.on_data = [](ScriptedSession& session, std::string_view bytes) {
    Transport* const transport = &session.transport();
    EXPECT_TRUE(NoDelay(static_cast<Connection*>(transport)->fd()));
    transport->Write("a");
    // The client waits for this byte, so the connection is there when the task runs.
    transport->executor()->Post([transport] { transport->Write("b"); });
    return bytes.size();
  }});
  RunningServer running(GetParam(), factory);
  const Fd client = running.Connect();
  ASSERT_TRUE(client);
  ExpectNoStalls(RoundTrips(client.get(), 200));
}

TEST_P(NoStallsTest, TwoSmallWritesInOneTurn) {
  ScriptedFactory factory({.on_data = [](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write("a");
    session.transport().Write("b");
    return bytes.size();
  }});
  RunningServer running(GetParam(), factory);
  const Fd client = running.Connect();
  ASSERT_TRUE(client);
  ExpectNoStalls(RoundTrips(client.get(), 200));
}

TEST_P(NoStallsTest, OutgoingConnectionsHaveNoDelayToo) {
  MakeGroup();
  const TestListener listener = MakeListener();
  Connector connector(*group());
  bool open = false;
  const auto address = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&listener.address),
                                             sizeof(listener.address));
  auto connection =
      connector.Connect(*address, MakeSession({.on_open = [&](ScriptedSession&) { open = true; }}));
  ASSERT_TRUE(connection.ok()) << connection.status();
  ASSERT_TRUE(RunUntil([&] { return open; }));
  EXPECT_TRUE(NoDelay((*connection)->fd()));
}

INSTANTIATE_TEST_SUITE_P(Backends, NoStallsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
