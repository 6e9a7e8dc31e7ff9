// Promise 20: after data and end of file the reply still arrives, and unread input never destroys
// the last reply.
#include <errno.h>

#include <string>
#include <thread>
#include <utility>

#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

class HalfCloseTest : public PromiseTest {
 protected:
  void NoteReason(ScriptedSession::Script& script) {
    script.on_closed = [this](ScriptedSession&, CloseReason why) { reason_ = why; };
  }
  bool RunUntilClosed() {
    return RunUntil([this] { return reason_ != CloseReason::kNone; });
  }

  CloseReason reason_ = CloseReason::kNone;
};

TEST_P(HalfCloseTest, ReplyAfterEndOfFile) {
  const std::string reply = PatternBytes(4 << 20);
  MakeGroup({.write_stall_timeout = std::chrono::seconds(20)});
  std::string input;
  ScriptedSession::Script script{.on_data =
                                     [&](ScriptedSession&, std::string_view bytes) {
                                       input.append(bytes);
                                       return bytes.size();
                                     },
                                 .on_eof =
                                     [&](ScriptedSession& session) {
                                       session.transport().Write(reply);
                                       session.transport().Close();
                                     }};
  NoteReason(script);
  const Fd client = Connect(MakeSession(script));
  std::string received;
  int error = -1;
  std::thread reader([&] {
    SendAll(client.get(), "request");
    ::shutdown(client.get(), SHUT_WR);
    received = ReceiveToEnd(client.get(), &error);
  });
  EXPECT_TRUE(RunUntilClosed());
  reader.join();
  EXPECT_EQ(input, "request");
  EXPECT_EQ(error, 0);
  EXPECT_TRUE(received == reply) << received.size() << " bytes of " << reply.size();
  EXPECT_EQ(reason_, CloseReason::kPeerClosed);
}

// The reply comes long after the end of file, which must not have closed or spun anything
// meanwhile.
TEST_P(HalfCloseTest, LateReplyAfterEndOfFile) {
  MakeGroup();
  ScriptedSession::Script script{.on_eof = [](ScriptedSession& session) {
    session.transport().SetDeadline(session.transport().now() + std::chrono::milliseconds(150));
  }};
  script.on_deadline = [](ScriptedSession& session) {
    session.transport().Write("late");
    session.transport().Close();
  };
  NoteReason(script);
  const Fd client = Connect(MakeSession(script));
  ::shutdown(client.get(), SHUT_WR);
  const uint64_t waits = loop().backend().stats().waits;
  while (reason_ == CloseReason::kNone) loop().RunOnce(std::chrono::seconds(1));
  EXPECT_LE(loop().backend().stats().waits - waits, 50U) << "the end of file was spun upon";
  int error = -1;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "late");
  EXPECT_EQ(error, 0);
}

// A close(2) with unread input would reset the connection, and a reset takes from the peer what it
// has not read yet (RFC 9112 section 9.6).
TEST_P(HalfCloseTest, UnreadInputDoesNotDestroyTheLastReply) {
  constexpr int kRounds = 10;
  const std::string reply(32 << 10, 'r');
  MakeGroup();
  for (int round = 0; round < kRounds; ++round) {
    reason_ = CloseReason::kNone;
    ScriptedSession::Script script{.on_data = [&](ScriptedSession& session, std::string_view) {
      session.transport().Write(reply);
      session.transport().Close();
      return size_t{0};
    }};
    NoteReason(script);
    const Fd client = Connect(MakeSession(script));
    std::string received;
    int error = -1;
    std::thread reader([&] {
      // Below ConnectionOptions::linger_cap, above every buffer on the way.
      const std::string input(768 << 10, 'i');
      EXPECT_TRUE(SendAll(client.get(), input)) << "reset before the reply was read";
      // What the server has done to the connection by now has arrived.
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      received = ReceiveToEnd(client.get(), &error);
      ::shutdown(client.get(), SHUT_WR);
    });
    EXPECT_TRUE(RunUntilClosed());
    reader.join();
    EXPECT_EQ(error, 0) << "errno " << error << " in round " << round;
    EXPECT_EQ(received.size(), reply.size());
    EXPECT_EQ(reason_, CloseReason::kLocal);
  }
}

TEST_P(HalfCloseTest, PeerThatNeverClosesIsLeftAfterTheLingerTimeout) {
  MakeGroup({.linger_timeout = std::chrono::milliseconds(200)});
  ScriptedSession::Script script{.on_open = [](ScriptedSession& session) {
    session.transport().Write("bye");
    session.transport().Close();
  }};
  NoteReason(script);
  const TimePoint start = loop().clock().Now();
  const Fd client = Connect(MakeSession(script));
  ASSERT_TRUE(RunUntilClosed());
  EXPECT_EQ(reason_, CloseReason::kLingerTimeout);
  EXPECT_GE(loop().clock().Now() - start, std::chrono::milliseconds(200));
  // No reset: the reply and its end are there to be read.
  int error = -1;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "bye");
  EXPECT_EQ(error, 0);
}

// The reply is with the kernel, which goes on sending it: a reset would take it back.
TEST_P(HalfCloseTest, LingerTimeoutLeavesTheReplyToSlowReaders) {
  constexpr int kSendBuffer = 200'000;  // Linux doubles it: all of the reply goes in
  const std::string reply = PatternBytes(192 << 10);
  MakeGroup({.linger_timeout = std::chrono::milliseconds(100)});
  ScriptedSession::Script script{.on_open = [&](ScriptedSession& session) {
    session.transport().Write(reply);
    session.transport().Close();
  }};
  NoteReason(script);
  SocketPair pair = MakeTcpPair();
  ASSERT_EQ(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(int)), 0);
  Adopt(std::move(pair.ours), MakeSession(script));
  ASSERT_TRUE(RunUntilClosed());
  EXPECT_EQ(reason_, CloseReason::kLingerTimeout);
  int error = -1;
  const std::string received = ReceiveToEnd(pair.peer.get(), &error);
  EXPECT_EQ(error, 0);
  EXPECT_TRUE(received == reply) << received.size() << " bytes of " << reply.size();
}

TEST_P(HalfCloseTest, PeerThatFloodsIsLeftAtTheLingerCap) {
  MakeGroup({.linger_timeout = std::chrono::minutes(10), .linger_cap = 256 << 10});
  ScriptedSession::Script script{
      .on_open = [](ScriptedSession& session) { session.transport().Close(); }};
  NoteReason(script);
  const Fd client = Connect(MakeSession(script));
  ASSERT_TRUE(RunUntil([&] {
    FillSocket(client.get());
    return reason_ != CloseReason::kNone;
  }));
  EXPECT_EQ(reason_, CloseReason::kLingerTimeout);
}

INSTANTIATE_TEST_SUITE_P(Backends, HalfCloseTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
