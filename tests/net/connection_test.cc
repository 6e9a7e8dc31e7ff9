// Connection in virtual time: every transition of the table above the class, every close reason,
// one by one. What output, input and deadlines
// promise is in connection_transport_test.cc.
#include "net/connection.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "net/address.h"
#include "tests/net/sim_fixture.h"

namespace quintet::testing {
namespace {

using State = Connection::State;
using ::testing::ElementsAre;
using namespace std::chrono_literals;

class ConnectionTest : public SendModeTest {
 protected:
  // To port 80, where `peer` may have been told to accept.
  void Connect(Duration timeout = 10s) {
    group = std::make_unique<ConnectionGroup>(*loop, options);
    // On the heap and gone after the call: the connection needs its own copy.
    const auto address = std::make_unique<Address>(*Address::Parse("127.0.0.1:80"));
    auto made =
        group->Connect(Socket(network.CreateSocket()), *address, timeout, NewSession(script));
    ASSERT_TRUE(made.ok());
    connection = *made;
    EXPECT_EQ(connection->state(), State::kConnecting);
  }
  void KeepOpenAfterEof() {
    script.on_eof = [](Transport&) {};
  }
  // Leads an adopted connection to kPeerClosed.
  void ReachPeerClosed() {
    KeepOpenAfterEof();
    Adopt();
    peer->ShutdownSend();
    RunFor(10ms);
    ASSERT_EQ(connection->state(), State::kPeerClosed);
  }
  // To kFlushing, with output that the peer does not read.
  void ReachFlushing() {
    Adopt();
    peer->StopReading();
    connection->Write(std::string(200'000, 'x'));
    connection->Close();
    RunFor(10ms);
    ASSERT_EQ(connection->state(), State::kFlushing);
  }
  void ReachLingering() {
    Adopt();
    connection->Close();
    RunFor(10ms);
    ASSERT_EQ(connection->state(), State::kLingering);
  }
};

// ---- Connecting ----

INSTANTIATE_TEST_SUITE_P(Sends, ConnectionTest, SendModes(), SendModeName);

TEST_P(ConnectionTest, ConnectingToOpen) {
  peer = std::make_unique<SimPeer>(network);
  peer->AcceptOn(80);
  Connect();
  connection->Write("early ");
  script.on_open = [](Transport& transport) { transport.Write("hello"); };
  RunFor(10ms);
  EXPECT_EQ(connection->state(), State::kOpen);
  EXPECT_EQ(peer->received(), "early hello");
}

TEST_P(ConnectionTest, ConnectingToClosingWhenRefused) {
  Connect();
  ExpectClosed(CloseReason::kConnectFailed);
  EXPECT_THAT(script.calls, ElementsAre("closed"));
}

TEST_P(ConnectionTest, ConnectingToClosingWhenTooLate) {
  network.MakeBlackHole(80);
  Connect(3s);
  const TimePoint start = network.Now();
  ExpectClosed(CloseReason::kConnectTimeout);
  EXPECT_GE(network.Now() - start, 3s);
  EXPECT_LE(network.Now() - start, 3s + 10ms);
  EXPECT_THAT(script.calls, ElementsAre("closed"));
}

TEST_P(ConnectionTest, ConnectingToClosingWhenAborted) {
  network.MakeBlackHole(80);
  Connect();
  connection->Abort(CloseReason::kAborted);
  EXPECT_EQ(connection->state(), State::kClosing);
  ExpectClosed(CloseReason::kAborted);
}

TEST_P(ConnectionTest, CloseWhileConnectingStillSendsWhatWasWritten) {
  peer = std::make_unique<SimPeer>(network);
  peer->AcceptOn(80);
  Connect();
  connection->Write("only this");
  connection->Close();
  RunFor(10ms);
  EXPECT_EQ(peer->received(), "only this");
  EXPECT_TRUE(peer->saw_fin());
  peer->ShutdownSend();
  ExpectClosed(CloseReason::kLocal);
}

// Set by the owner, passed before there was anybody to tell, and moved as soon as there was.
TEST_P(ConnectionTest, DeadlineThatPassedWhileConnectingMayStillMove) {
  network.mutable_options().latency = 1s;
  peer = std::make_unique<SimPeer>(network);
  peer->AcceptOn(80);
  Connect();
  connection->SetDeadline(network.Now() + 500ms);
  script.on_open = [this](Transport& transport) { transport.SetDeadline(network.Now() + 1min); };
  RunFor(700ms);
  ASSERT_EQ(connection->state(), State::kConnecting);
  RunFor(10s);
  EXPECT_EQ(connection->state(), State::kOpen);
  EXPECT_EQ(script.Count("deadline"), 0U);
}

TEST_P(ConnectionTest, NoConnectTimeoutAfterConnected) {
  peer = std::make_unique<SimPeer>(network);
  peer->AcceptOn(80);
  Connect(1s);
  RunFor(10s);
  EXPECT_EQ(connection->state(), State::kOpen);
}

// ---- Open ----

TEST_P(ConnectionTest, OpenToPeerClosedToFlushingToClosing) {
  ReachPeerClosed();
  connection->Write(std::string(200'000, 'r'));
  RunFor(10ms);
  EXPECT_EQ(connection->state(), State::kPeerClosed);
  connection->Close();
  // The reply arrives although the peer has shut down its side; then FIN, without lingering.
  ExpectClosed(CloseReason::kPeerClosed);
  RunFor(10ms);
  EXPECT_EQ(peer->received().size(), 200'000U);
  EXPECT_TRUE(peer->saw_fin());
  EXPECT_FALSE(peer->saw_reset());
}

TEST_P(ConnectionTest, OpenToFlushingToLingeringToClosing) {
  ReachFlushing();
  peer->StartReading();
  RunFor(20ms);
  EXPECT_EQ(connection->state(), State::kLingering);
  EXPECT_TRUE(peer->saw_fin());
  peer->ShutdownSend();
  ExpectClosed(CloseReason::kLocal);
  EXPECT_FALSE(peer->saw_reset());
}

TEST_P(ConnectionTest, OpenToClosingOnReset) {
  Adopt();
  peer->Reset();
  ExpectClosed(CloseReason::kPeerReset);
}

TEST_P(ConnectionTest, OpenToClosingOnOtherReceiveError) {
  Adopt();
  backend->FailNext(Op::kRecv, ETIMEDOUT);
  peer->Send("x");
  ExpectClosed(CloseReason::kError);
}

TEST_P(ConnectionTest, OpenToClosingOnSendErrors) {
  Adopt();
  backend->FailNext(Op::kSend, EPIPE);
  connection->Write("x");
  ExpectClosed(CloseReason::kPeerReset);
}

TEST_P(ConnectionTest, OpenToClosingOnOtherSendError) {
  Adopt();
  backend->FailNext(Op::kSend, ETIMEDOUT);
  connection->Write("x");
  ExpectClosed(CloseReason::kError);
}

TEST_P(ConnectionTest, OpenToClosingOnAbort) {
  Adopt();
  connection->Write("dropped");
  connection->Abort(CloseReason::kAborted);
  EXPECT_EQ(connection->state(), State::kClosing);
  connection->Abort(CloseReason::kDeadline);  // the first reason holds
  ExpectClosed(CloseReason::kAborted);
  RunFor(10ms);
  EXPECT_TRUE(peer->saw_reset());
  EXPECT_EQ(peer->received(), "");
}

// ---- PeerClosed, Flushing, Lingering ----

TEST_P(ConnectionTest, PeerClosedToClosingOnAbort) {
  ReachPeerClosed();
  connection->Abort(CloseReason::kDeadline);
  ExpectClosed(CloseReason::kDeadline);
}

TEST_P(ConnectionTest, PeerClosedToClosingOnSendError) {
  ReachPeerClosed();
  backend->FailNext(Op::kSend, ECONNRESET);
  connection->Write("x");
  ExpectClosed(CloseReason::kPeerReset);
}

TEST_P(ConnectionTest, FlushingToClosingOnReset) {
  ReachFlushing();
  peer->Reset();
  ExpectClosed(CloseReason::kPeerReset);
}

TEST_P(ConnectionTest, FlushingToClosingOnAbort) {
  ReachFlushing();
  connection->Abort(CloseReason::kAborted);
  ExpectClosed(CloseReason::kAborted);
}

TEST_P(ConnectionTest, FlushingToClosingOnStall) {
  ReachFlushing();
  ExpectClosed(CloseReason::kWriteStall);
  RunFor(10ms);
  peer->StartReading();
  EXPECT_TRUE(peer->saw_reset()) << "an incomplete reply must not look complete";
}

TEST_P(ConnectionTest, LingeringToClosingOnDeadline) {
  options.linger_timeout = 2s;
  ReachLingering();
  const TimePoint start = network.Now();
  ExpectClosed(CloseReason::kLingerTimeout);
  EXPECT_LE(network.Now() - start, 2s + 10ms);
}

TEST_P(ConnectionTest, LingeringToClosingOnCap) {
  options.linger_cap = 100'000;
  ReachLingering();
  peer->Send(std::string(100'000, 'x'));
  RunFor(50ms);
  EXPECT_EQ(connection->state(), State::kLingering);
  peer->Send("x");
  const TimePoint start = network.Now();
  ExpectClosed(CloseReason::kLingerTimeout);
  EXPECT_LT(network.Now() - start, 100ms) << "closed by the timeout";
}

TEST_P(ConnectionTest, LingeringToClosingOnResetKeepsTheReason) {
  ReachLingering();
  peer->Reset();
  ExpectClosed(CloseReason::kLocal);
}

TEST_P(ConnectionTest, LingeringToClosingOnAbort) {
  ReachLingering();
  connection->Abort(CloseReason::kAborted);
  ExpectClosed(CloseReason::kAborted);
}

// The last reply is readable although the peer goes on sending: no reset before the peer's own FIN.
TEST_P(ConnectionTest, LingeringLetsThePeerReadTheReply) {
  Adopt();
  peer->StopReading();
  script.on_data = [](Transport& transport, std::string_view) -> size_t {
    transport.Write("413 too large");
    transport.Close();
    return 0;
  };
  peer->Send(std::string(300'000, 'u'));
  RunFor(1s);
  EXPECT_EQ(connection->state(), State::kLingering);
  peer->StartReading();
  EXPECT_EQ(peer->received(), "413 too large");
  EXPECT_TRUE(peer->saw_fin());
  EXPECT_FALSE(peer->saw_reset());
  peer->Close();
  ExpectClosed(CloseReason::kLocal);
}

TEST_P(ConnectionTest, CloseTwiceAndWriteAfterCloseDoNothing) {
  Adopt();
  connection->Write("a");
  connection->Close();
  connection->Close();
  connection->Write("b");
  RunFor(10ms);
  EXPECT_EQ(peer->received(), "a");
  peer->Close();
  ExpectClosed(CloseReason::kLocal);
}

}  // namespace
}  // namespace quintet::testing
