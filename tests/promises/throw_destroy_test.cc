// Promise 22: a callback that throws, or that destroys its own connection, its peer, the group or
// the server, harms nobody else; and no close callback comes from inside another callback.
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

enum class At { kOpen, kData, kEof, kOutputDrained, kDeadline, kDrain, kClosed };
constexpr At kEverywhere[] = {At::kOpen,     At::kData,  At::kEof,   At::kOutputDrained,
                              At::kDeadline, At::kDrain, At::kClosed};
constexpr std::string_view kNames[] = {"OnOpen",     "OnData",  "OnEof",   "OnOutputDrained",
                                       "OnDeadline", "OnDrain", "OnClosed"};

using Act = std::function<void(ScriptedSession&)>;

// A session that does `act` in one callback and what leads to that callback in the others.
ScriptedSession::Script Actor(At at, Act act) {
  ScriptedSession::Script script;
  switch (at) {
    case At::kOpen:
      script.on_open = act;
      break;
    case At::kData:
      script.on_data = [act](ScriptedSession& session, std::string_view bytes) {
        act(session);
        return bytes.size();
      };
      break;
    case At::kEof:
      script.on_eof = act;
      break;
    case At::kOutputDrained:
      script.on_open = [](ScriptedSession& session) {
        session.transport().Write(std::string(1 << 20, 'x'));
      };
      script.on_output_drained = act;
      break;
    case At::kDeadline:
      script.on_open = [](ScriptedSession& session) {
        session.transport().SetDeadline(session.transport().now() + std::chrono::milliseconds(5));
      };
      script.on_deadline = act;
      break;
    case At::kDrain:
      script.on_drain = act;
      break;
    case At::kClosed:
      script.on_closed = [act](ScriptedSession& session, CloseReason) { act(session); };
      break;
  }
  return script;
}

// What the client does to bring that about.
void Provoke(At at, int client) {
  if (at == At::kData) SendAll(client, "x");
  if (at == At::kEof) ::shutdown(client, SHUT_WR);
  if (at == At::kOutputDrained) ReceiveExactly(client, 1 << 20);
}

class ThrowDestroyTest : public PromiseTest {
 protected:
  // In a group with two bystanders, one older and one newer than the actor: does `act` at each of
  // the places, checks that the actor was closed once for `reason`, and that the others live on.
  void ActEverywhere(const Act& act, CloseReason reason) {
    for (const At at : kEverywhere) {
      SCOPED_TRACE(kNames[static_cast<size_t>(at)]);
      MakeGroup();
      const Fd older = Connect(MakeSession(EchoScript()));
      bool acting = false;
      int acted = 0;
      std::vector<CloseReason> closed;
      ScriptedSession::Script script = Actor(at, [&](ScriptedSession& session) {
        ++acted;
        acting = true;
        struct Done {
          bool& acting;
          ~Done() { acting = false; }
        } const done{acting};
        act(session);
      });
      const auto on_closed = script.on_closed;
      script.on_closed = [&](ScriptedSession& session, CloseReason why) {
        EXPECT_FALSE(acting) << "OnClosed() came from inside another callback";
        closed.push_back(why);
        if (on_closed) on_closed(session, why);
      };
      Connection* actor = nullptr;
      SocketPair pair = MakeTcpPair();
      actor = Adopt(std::move(pair.ours), MakeSession(script));
      const Fd newer = Connect(MakeSession(EchoScript()));
      // A connection that ends in its OnOpen() may be gone once the loop has turned.
      if (at == At::kDrain) actor->Drain();
      if (at == At::kClosed) actor->Abort(reason);
      std::thread client([&] { Provoke(at, pair.peer.get()); });
      EXPECT_TRUE(RunUntil([&] { return acted > 0; }));
      // A staged close waits for the client to close as well.
      client.join();
      pair.peer.Reset();
      EXPECT_TRUE(RunUntil([&] { return !closed.empty(); }));
      RunFor(std::chrono::milliseconds(2));
      EXPECT_EQ(acted, 1);
      EXPECT_EQ(closed, std::vector<CloseReason>{reason});
      ExpectEcho(older);
      ExpectEcho(newer);
      EXPECT_EQ(group()->size(), 2U);
      group().reset();
    }
  }

  void ExpectEcho(const Fd& client) {
    ASSERT_TRUE(SendAll(client.get(), "ping"));
    std::string reply(4, '\0');
    EXPECT_TRUE(RunUntil([&] {
      return ::recv(client.get(), reply.data(), 4, MSG_DONTWAIT | MSG_PEEK) == 4;
    })) << "a bystander was harmed";
    EXPECT_EQ(ReceiveExactly(client.get(), 4), "ping");
  }
};

TEST_P(ThrowDestroyTest, Throw) {
  ActEverywhere([](ScriptedSession&) { throw std::runtime_error("thrown by a test"); },
                CloseReason::kSessionError);
}

TEST_P(ThrowDestroyTest, ThrowWhatIsNoException) {
  ActEverywhere([](ScriptedSession&) { throw 42; }, CloseReason::kSessionError);
}

TEST_P(ThrowDestroyTest, AbortItself) {
  ActEverywhere(
      [](ScriptedSession& session) {
        session.transport().Write("gone");
        session.transport().Abort(CloseReason::kAborted);
        session.transport().Write("nothing happens");
        session.transport().Close();
      },
      CloseReason::kAborted);
}

TEST_P(ThrowDestroyTest, WriteAboveTheCap) {
  ActEverywhere(
      [](ScriptedSession& session) {
        session.transport().Write(std::string((16 << 20) + 1, 'x'));
        session.transport().Write("nothing happens");
      },
      CloseReason::kOutputLimit);
}

// Two that are ready in the same turn abort each other: one of them acts, both are gone.
TEST_P(ThrowDestroyTest, AbortThePeerThatIsReadyInTheSameTurn) {
  MakeGroup();
  const Fd bystander = Connect(MakeSession(EchoScript()));
  Connection* connections[2] = {};
  int acted = 0;
  int closed = 0;
  const auto script = [&](int other) {
    ScriptedSession::Script made;
    made.on_data = [&, other](ScriptedSession&, std::string_view bytes) {
      ++acted;
      connections[other]->Abort(CloseReason::kAborted);
      return bytes.size();
    };
    made.on_closed = [&](ScriptedSession&, CloseReason why) {
      EXPECT_EQ(why, CloseReason::kAborted);
      ++closed;
    };
    return made;
  };
  const Fd first = Connect(MakeSession(script(1)), &connections[0]);
  const Fd second = Connect(MakeSession(script(0)), &connections[1]);
  RunFor(std::chrono::milliseconds(2));
  ASSERT_TRUE(SendAll(first.get(), "x"));
  ASSERT_TRUE(SendAll(second.get(), "x"));
  ASSERT_TRUE(RunUntil([&] { return closed == 1; }));
  EXPECT_EQ(acted, 1) << "data reached a connection that was aborted";
  ExpectEcho(bystander);
  // The other one counts in variables of this function.
  group()->AbortAll(CloseReason::kAborted);
  ASSERT_TRUE(RunUntil([&] { return closed == 2; }));
}

TEST_P(ThrowDestroyTest, DestroyTheGroup) {
  for (const At at : kEverywhere) {
    SCOPED_TRACE(kNames[static_cast<size_t>(at)]);
    MakeGroup();
    int closed = 0;
    bool acting = false;
    const auto count = [&](ScriptedSession&, CloseReason) {
      EXPECT_FALSE(acting) << "OnClosed() came from inside another callback";
      ++closed;
    };
    ScriptedSession::Script other = EchoScript();
    other.on_closed = count;
    const Fd bystander = Connect(MakeSession(other));
    ScriptedSession::Script script = Actor(at, [&](ScriptedSession& session) {
      acting = at != At::kClosed;
      group().reset();
      session.transport().Write("to nobody");
      acting = false;
    });
    const auto on_closed = script.on_closed;
    script.on_closed = [&, on_closed](ScriptedSession& session, CloseReason why) {
      if (on_closed) on_closed(session, why);
      count(session, why);
    };
    SocketPair pair = MakeTcpPair();
    Connection* const actor = Adopt(std::move(pair.ours), MakeSession(script));
    if (at == At::kDrain) actor->Drain();
    if (at == At::kClosed) actor->Abort(CloseReason::kAborted);
    std::thread client([&] { Provoke(at, pair.peer.get()); });
    EXPECT_TRUE(RunUntil([&] { return closed == 2; })) << closed << " of 2 sessions were told";
    client.join();
    EXPECT_EQ(group(), nullptr);
    EXPECT_EQ(loop().backend().attached_sources(), 0U);
  }
}

TEST_P(ThrowDestroyTest, DestroyTheServer) {
  for (const At at : kEverywhere) {
    SCOPED_TRACE(kNames[static_cast<size_t>(at)]);
    std::unique_ptr<Server> server;
    int closed = 0;
    ScriptedSession::Script script = Actor(at, [&](ScriptedSession&) { server.reset(); });
    const auto on_closed = script.on_closed;
    script.on_closed = [&, on_closed](ScriptedSession& session, CloseReason why) {
      if (on_closed) on_closed(session, why);
      ++closed;
    };
    // What it takes to be drained: a stop, asked for by a client.
    if (at == At::kDrain) {
      script.on_open = [&](ScriptedSession&) { server->Stop(); };
    }
    ScriptedFactory factory(script);
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.loop = LoopOptions();
    auto created = Server::Create(options, factory);
    ASSERT_TRUE(created.ok()) << created.status();
    server = *std::move(created);
    ASSERT_EQ(server->backend(), GetParam());
    const Address address = server->addresses().front();
    std::thread client([&] {
      Fd fd = ConnectTo(*reinterpret_cast<const sockaddr_in*>(address.data()));
      Provoke(at, fd.get());
      if (at == At::kClosed) return;
      ReceiveToEnd(fd.get());
    });
    EXPECT_TRUE(server->Run().ok());
    client.join();
    EXPECT_EQ(server, nullptr);
    EXPECT_EQ(closed, 1);
  }
}

TEST_P(ThrowDestroyTest, FactoryThatThrowsRefusesOneClient) {
  class Factory final : public SessionFactory {
   public:
    std::unique_ptr<Session> CreateSession() override {
      if (calls_++ == 0) throw std::runtime_error("no session today");
      return MakeSession(EchoScript());
    }

   private:
    int calls_ = 0;
  } factory;
  RunningServer running(GetParam(), factory);
  const Fd refused = running.Connect();
  EXPECT_EQ(ReceiveToEnd(refused.get()), "");
  const Fd served = running.Connect();
  ASSERT_TRUE(SendAll(served.get(), "ping"));
  EXPECT_EQ(ReceiveExactly(served.get(), 4), "ping");
}

INSTANTIATE_TEST_SUITE_P(Backends, ThrowDestroyTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
