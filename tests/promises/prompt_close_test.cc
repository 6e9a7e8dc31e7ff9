// Promise 4: close means that the peer sees it within one turn, and that the port is free when stop
// returns.
#include <errno.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

// What the peer's next read says without waiting: data, 0 for end of file, or -errno.
ssize_t Peek(int fd) {
  char byte;
  const ssize_t got = ::recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return got >= 0 ? got : -errno;
}

class PromptCloseTest : public PromiseTest {
 protected:
  // The peer waits far longer than any test lasts: only a FIN sent at once is seen in time.
  static constexpr ConnectionOptions kPatient{.linger_timeout = std::chrono::hours(1)};

  // Turns until the session was called; its turn is over then.
  void TurnUntil(const bool& called) {
    ASSERT_TRUE(RunUntil([&] { return called; }));
  }
  // Looks without turning first: what the turn of the close has done must do.
  static void ExpectEnd(int fd, ssize_t end) { EXPECT_EQ(Peek(fd), end); }
  // One more turn, which has something to do and so does not wait.
  void OneTurn() { loop().RunOnce(std::chrono::seconds(1)); }
};

TEST_P(PromptCloseTest, FinOfACloseWithoutOutput) {
  MakeGroup(kPatient);
  bool called = false;
  const Fd peer = Connect(MakeSession({.on_data = [&](ScriptedSession& session, auto bytes) {
    called = true;
    session.transport().Close();
    return bytes.size();
  }}));
  ASSERT_TRUE(SendAll(peer.get(), "x"));
  TurnUntil(called);
  ExpectEnd(peer.get(), 0);
}

// The send goes to the kernel with the next wait on io_uring: FIN follows it in that turn.
TEST_P(PromptCloseTest, FinBehindTheLastReply) {
  MakeGroup(kPatient);
  bool called = false;
  const Fd peer = Connect(MakeSession({.on_data = [&](ScriptedSession& session, auto bytes) {
    called = true;
    session.transport().Write("bye");
    session.transport().Close();
    return bytes.size();
  }}));
  ASSERT_TRUE(SendAll(peer.get(), "x"));
  TurnUntil(called);
  OneTurn();
  EXPECT_EQ(ReceiveExactly(peer.get(), 3), "bye");
  ExpectEnd(peer.get(), 0);
}

TEST_P(PromptCloseTest, FinInAnswerToTheFinOfThePeer) {
  MakeGroup(kPatient);
  bool called = false;
  const Fd peer = Connect(MakeSession({.on_eof = [&](ScriptedSession& session) {
    called = true;
    session.transport().Close();
  }}));
  ASSERT_EQ(::shutdown(peer.get(), SHUT_WR), 0);
  TurnUntil(called);
  ExpectEnd(peer.get(), 0);
}

// An armed receive has to be cancelled first on io_uring, which takes the next wait.
TEST_P(PromptCloseTest, ResetOfAnAbortFromOutside) {
  MakeGroup(kPatient);
  Connection* connection = nullptr;
  const Fd peer = Connect(MakeSession({}), &connection);
  RunFor(std::chrono::milliseconds(5));
  connection->Abort(CloseReason::kAborted);
  OneTurn();
  ExpectEnd(peer.get(), -ECONNRESET);
}

TEST_P(PromptCloseTest, ResetOfAnAbortInACallback) {
  MakeGroup(kPatient);
  bool called = false;
  const Fd peer = Connect(MakeSession({.on_data = [&](ScriptedSession& session, auto bytes) {
    called = true;
    session.transport().Abort(CloseReason::kAborted);
    return bytes.size();
  }}));
  ASSERT_TRUE(SendAll(peer.get(), "x"));
  TurnUntil(called);
  OneTurn();
  ExpectEnd(peer.get(), -ECONNRESET);
}

// With a send in flight to a peer that reads nothing.
TEST_P(PromptCloseTest, ResetOfADestroyedGroup) {
  MakeGroup(kPatient);
  const std::string large(8 << 20, 'l');
  const Fd peer = Connect(MakeSession(
      {.on_open = [&](ScriptedSession& session) { session.transport().Write(large); }}));
  RunFor(std::chrono::milliseconds(5));
  group().reset();
  OneTurn();
  int error = 0;
  EXPECT_LT(ReceiveToEnd(peer.get(), &error).size(), large.size());
  EXPECT_EQ(error, ECONNRESET);
}

// A destroyed loop leaves nothing open, not even for a moment.
TEST_P(PromptCloseTest, EndOfEveryConnectionOfADestroyedLoop) {
  std::vector<Fd> peers;
  {
    const std::unique_ptr<EventLoop> loop = MakeLoop();
    ConnectionGroup group(*loop, kPatient);
    for (int i = 0; i < 10; ++i) {
      SocketPair pair = MakeTcpPair();
      peers.push_back(std::move(pair.peer));
      ASSERT_TRUE(group.Adopt(Socket(pair.ours.Release()), MakeSession({})).ok());
    }
    loop->RunOnce(std::chrono::milliseconds(1));
  }
  for (const Fd& peer : peers) ExpectEnd(peer.get(), -ECONNRESET);
}

// A client that only reads: a server that waited for its FIN, or for a timer, would be told apart.
TEST_P(PromptCloseTest, ClientTimesItsEndOfFile) {
  ScriptedFactory sessions({.on_data = [](ScriptedSession& session, auto bytes) {
    session.transport().Write("bye");
    session.transport().Close();
    return bytes.size();
  }});
  ServerOptions options;
  options.drain_timeout = std::chrono::seconds(1);
  options.connection = kPatient;
  RunningServer server(GetParam(), sessions, options);
  for (int i = 0; i < 20; ++i) {
    const Fd client = server.Connect();
    SetTimeouts(client.get(), std::chrono::seconds(5));
    ASSERT_TRUE(SendAll(client.get(), "x"));
    int error = -1;
    EXPECT_EQ(ReceiveToEnd(client.get(), &error), "bye");
    EXPECT_EQ(error, 0) << "no end of file";
  }
}

// Binds the same port again as soon as Run() has returned, with clients connected, in the backlog,
// and just gone.
TEST_P(PromptCloseTest, PortIsFreeWhenRunReturns) {
  constexpr int kRounds = 20;
  ScriptedFactory sessions(EchoScript());
  for (const int shards : {1, 2}) {
    std::optional<Address> address;
    for (int round = 0; round < kRounds; ++round) {
      ServerOptions options;
      options.addresses = {address.value_or(*Address::Parse("127.0.0.1:0"))};
      options.shards = shards;
      options.pin = false;
      options.drain_timeout = std::chrono::milliseconds(round % 2);
      options.loop.backend.kind = GetParam();
      auto server = Server::Create(options, sessions);
      ASSERT_TRUE(server.ok()) << "round " << round << " of " << shards
                               << " shards: " << server.status();
      ASSERT_EQ((*server)->backend(), GetParam());
      address = (*server)->addresses().front();
      std::vector<Fd> clients;
      std::thread visitor([&] {
        for (int i = 0; i < 4; ++i) {
          clients.push_back(ConnectTo(*reinterpret_cast<const sockaddr_in*>(address->data())));
          EXPECT_TRUE(SendAll(clients.back().get(), "x"));
        }
        EXPECT_EQ(ReceiveExactly(clients.front().get(), 1), "x");
        clients.pop_back();
        (*server)->Stop();
      });
      EXPECT_TRUE((*server)->Run().ok());
      visitor.join();
      // The server object, still there, holds no socket any more.
      auto again = ListenOn(*address, {.backlog = 1});
      EXPECT_TRUE(again.ok()) << again.status();
    }
  }
}

TEST_P(PromptCloseTest, PortOfAServerThatNeverRanIsFree) {
  ScriptedFactory sessions(EchoScript());
  ServerOptions options;
  options.addresses = {*Address::Parse("127.0.0.1:0")};
  options.loop.backend.kind = GetParam();
  for (int round = 0; round < 3; ++round) {
    auto server = Server::Create(options, sessions);
    ASSERT_TRUE(server.ok()) << server.status();
    options.addresses = (*server)->addresses();
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, PromptCloseTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
