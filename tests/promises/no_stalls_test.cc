// Promise 34: no 40 ms stalls. Output is coalesced once a turn, and TCP_NODELAY keeps Nagle's
// algorithm from waiting for the peer's delayed acknowledgement (RFC 1122 section 4.2.3.2). Seen in
// segments and unsent bytes, which do not depend on how busy the machine is.
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <chrono>
#include <string_view>
#include <utility>

#include "net/connector.h"
#include "net/listener.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

constexpr int kRounds = 200;

bool NoDelay(int fd) {
  int value = 0;
  socklen_t size = sizeof(value);
  EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
  return value != 0;
}

tcp_info TcpInfo(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info;
}

// Bytes that the kernel took from us and holds back.
int UnsentBytes(int fd) {
  int unsent = -1;
  EXPECT_EQ(::ioctl(fd, SIOCOUTQNSD, &unsent), 0);
  return unsent;
}

// A client of a listener on the fixture's loop, that acknowledges as late as it may.
class NoStallsTest : public PromiseTest {
 protected:
  void TearDown() override {
    client_.Reset();
    listener_.reset();
    PromiseTest::TearDown();
  }

  void Serve(ScriptedSession::Script script) {
    MakeGroup();
    auto socket = ListenOn(*Address::Parse("127.0.0.1:0"), {});
    ASSERT_TRUE(socket.ok()) << socket.status();
    const Address address = *socket->LocalAddress();
    auto listener = Listener::Create(loop(), *std::move(socket), [this, script](Socket accepted) {
      auto adopted = group()->Adopt(std::move(accepted), MakeSession(script));
      ASSERT_TRUE(adopted.ok()) << adopted.status();
      connection_ = *adopted;
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    client_ = ConnectTo(*reinterpret_cast<const sockaddr_in*>(address.data()));
    ASSERT_TRUE(client_);
    const int late = 0;
    EXPECT_EQ(::setsockopt(client_.get(), IPPROTO_TCP, TCP_QUICKACK, &late, sizeof(late)), 0);
    ASSERT_TRUE(RunUntil([this] { return connection_ != nullptr; }));
  }

  Connection& connection() { return *connection_; }
  int client() const { return client_.get(); }

  // Since when ExpectSegments() counts.
  void MarkSegments() {
    received_ = TcpInfo(client()).tcpi_data_segs_in;
    sent_again_ = TcpInfo(connection().fd()).tcpi_total_retrans;
  }
  // That many segments with data have come, besides those that were sent twice: the kernel does so
  // when an acknowledgement takes some milliseconds (RFC 8985 section 7, "Tail Loss Probe").
  void ExpectSegments(uint32_t expected) {
    const uint32_t received = TcpInfo(client()).tcpi_data_segs_in - received_;
    const uint32_t sent_again = TcpInfo(connection().fd()).tcpi_total_retrans - sent_again_;
    EXPECT_GE(received, expected);
    EXPECT_LE(received, expected + sent_again);
  }

 private:
  ListenerPtr listener_;
  Connection* connection_ = nullptr;
  Fd client_;
  uint32_t received_ = 0;
  uint32_t sent_again_ = 0;
};

TEST_P(NoStallsTest, TwoSmallWritesOfOneCallbackLeaveInOneSend) {
  bool replied = false;
  Serve({.on_data = [&](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write("a");
    session.transport().Write("b");
    replied = true;
    return bytes.size();
  }});
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    replied = false;
    const BackendStats before = loop().backend().stats();
    MarkSegments();
    ASSERT_TRUE(SendAll(client(), "?"));
    ASSERT_TRUE(RunUntil([&] { return replied && connection().output_bytes() == 0; }));
    const BackendStats& after = loop().backend().stats();
    EXPECT_EQ(after.completions + after.sends_now, before.completions + before.sends_now + 2)
        << "a receive and a send";
    ASSERT_EQ(ReceiveExactly(client(), 2), "ab");
    ExpectSegments(1);
  }
}

// Writes of different turns are different segments, and the first is not acknowledged yet when the
// second comes: only TCP_NODELAY helps.
TEST_P(NoStallsTest, SecondSegmentDoesNotWaitForTheAcknowledgementOfTheFirst) {
  bool replied = false;
  Serve({.on_data = [&](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write("a");
    loop().Post([&] {
      connection().Write("b");
      replied = true;
    });
    return bytes.size();
  }});
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    replied = false;
    MarkSegments();
    ASSERT_TRUE(SendAll(client(), "?"));
    ASSERT_TRUE(RunUntil([&] { return replied && connection().output_bytes() == 0; }));
    EXPECT_EQ(UnsentBytes(connection().fd()), 0) << "held back in round " << round;
    ASSERT_EQ(ReceiveExactly(client(), 2), "ab");
    ExpectSegments(2);
  }
  EXPECT_TRUE(NoDelay(connection().fd()));
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
