// What a session may do from inside its callbacks: throw, abort, close, destroy its group, its
// peer.
#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

#include "net/connection.h"
#include "tests/net/sim_fixture.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

enum class Callback { kOpen, kData, kKeptData, kEof, kDrained, kDeadline, kDrain, kClosed };

void PrintTo(Callback callback, std::ostream* out) {
  static constexpr const char* kNames[] = {"Open",    "Data",     "KeptData", "Eof",
                                           "Drained", "Deadline", "Drain",    "Closed"};
  *out << kNames[static_cast<size_t>(callback)];
}

class ConnectionCallbackTest : public SimTest, public ::testing::WithParamInterface<Callback> {
 protected:
  // Runs a connection in which every callback comes, with `act` inside the one of the parameter,
  // beside a second connection that only echoes.
  void Run(std::function<void(Transport&)> act) {
    SetScript(std::move(act));
    options.output_high_mark = 10;
    options.output_low_mark = 5;
    AdoptBystander();
    Adopt();
    peer->Send("data");
    RunFor(10ms);
    if (GetParam() == Callback::kKeptData && !script.closed()) connection->ResumeReading();
    RunFor(10ms);
    if (!script.closed()) connection->Write(std::string(100, 'x'));
    RunFor(10ms);
    if (!script.closed()) connection->SetDeadline(network.Now());
    RunFor(10ms);
    if (!script.closed()) connection->Drain();
    RunFor(10ms);
    peer->ShutdownSend();
    RunFor(10ms);
    ASSERT_TRUE(RunUntilClosed());
    RunFor(10ms);
    EXPECT_EQ(script.Count("closed"), 1U);
    EXPECT_EQ(script.calls.back(), "closed");
    EXPECT_TRUE(script.destroyed);
  }

  void ExpectBystanderWell() {
    bystander_peer->Send("still there?");
    RunFor(10ms);
    EXPECT_EQ(bystander_peer->received(), "still there?");
    EXPECT_FALSE(bystander_script.closed());
  }

  Script bystander_script;
  std::unique_ptr<SimPeer> bystander_peer;
  Connection* bystander = nullptr;

 private:
  void AdoptBystander() {
    bystander_script.on_data = [](Transport& transport, std::string_view bytes) {
      transport.Write(bytes);
      return bytes.size();
    };
    group = std::make_unique<ConnectionGroup>(*loop, options);
    const auto [ours, theirs] = network.CreatePair();
    bystander_peer = std::make_unique<SimPeer>(network, theirs);
    bystander = *group->Adopt(Socket(ours), NewSession(bystander_script));
  }

  void SetScript(std::function<void(Transport&)> act) {
    script.on_deadline = [](Transport&) {};
    script.on_drain = [](Transport&) {};
    switch (GetParam()) {
      case Callback::kOpen:
        script.on_open = act;
        break;
      case Callback::kData:
        script.on_data = [act](Transport& transport, std::string_view bytes) {
          act(transport);
          return bytes.size();
        };
        break;
      case Callback::kKeptData:
        script.on_data = [act, first = true](Transport& transport,
                                             std::string_view bytes) mutable -> size_t {
          if (std::exchange(first, false)) return 1;
          act(transport);
          return bytes.size();
        };
        break;
      case Callback::kEof:
        script.on_eof = [act](Transport& transport) {
          act(transport);
          transport.Close();
        };
        break;
      case Callback::kDrained:
        script.on_drained = act;
        break;
      case Callback::kDeadline:
        script.on_deadline = act;
        break;
      case Callback::kDrain:
        script.on_drain = act;
        break;
      case Callback::kClosed:
        script.on_closed = [act](Transport& transport, CloseReason) { act(transport); };
        break;
    }
  }

 protected:
  void TearDown() override {
    bystander_peer.reset();
    SimTest::TearDown();
  }
};

TEST_P(ConnectionCallbackTest, ThrowsAnException) {
  Run([](Transport&) { throw std::runtime_error("oops"); });
  if (GetParam() != Callback::kClosed) {
    EXPECT_EQ(script.reason, CloseReason::kSessionError);
  }
  ASSERT_FALSE(log.empty());
  EXPECT_NE(log[0].find("oops"), std::string::npos);
  EXPECT_EQ(loop->stats().exceptions, 0U);
  ExpectBystanderWell();
}

TEST_P(ConnectionCallbackTest, ThrowsSomethingElse) {
  Run([](Transport&) { throw 42; });
  EXPECT_FALSE(log.empty());
  ExpectBystanderWell();
}

TEST_P(ConnectionCallbackTest, Aborts) {
  Run([](Transport& transport) {
    transport.Abort(CloseReason::kDeadline);
    const size_t output = transport.output_bytes();
    transport.Write("nothing of this");
    EXPECT_EQ(transport.output_bytes(), output);
    transport.Close();
    transport.Abort(CloseReason::kAborted);  // the first reason holds
  });
  if (GetParam() != Callback::kClosed) {
    EXPECT_EQ(script.reason, CloseReason::kDeadline);
    EXPECT_TRUE(peer->saw_reset() || peer->saw_fin());
  }
  EXPECT_EQ(peer->received().find("nothing"), std::string::npos);
  ExpectBystanderWell();
}

TEST_P(ConnectionCallbackTest, Closes) {
  Run([](Transport& transport) {
    transport.Write("last words");
    transport.Close();
    transport.Write("too late");
  });
  if (GetParam() != Callback::kClosed) {
    EXPECT_NE(peer->received().find("last words"), std::string::npos);
    EXPECT_FALSE(peer->saw_reset());
  }
  EXPECT_EQ(peer->received().find("too late"), std::string::npos);
  ExpectBystanderWell();
}

TEST_P(ConnectionCallbackTest, DestroysItsGroup) {
  Run([this](Transport& transport) {
    group.reset();
    transport.Write("nobody sends this");
    transport.SetDeadline(network.Now());
    transport.ResumeReading();
    EXPECT_FALSE(transport.executor()->Post([] {}));
  });
  if (GetParam() != Callback::kClosed) {
    EXPECT_EQ(script.reason, CloseReason::kAborted);
  }
  EXPECT_EQ(bystander_script.reason, CloseReason::kAborted);
  EXPECT_TRUE(bystander_script.destroyed);
  EXPECT_EQ(backend->attached_sources(), 0U);
}

TEST_P(ConnectionCallbackTest, AbortsItsNeighbour) {
  Run([this](Transport&) {
    bystander->PauseReading();  // a task that finds it closed
    bystander->Abort(CloseReason::kAborted);
  });
  RunFor(10ms);
  EXPECT_EQ(bystander_script.reason, CloseReason::kAborted);
  EXPECT_EQ(bystander_script.Count("closed"), 1U);
  EXPECT_NE(script.reason, CloseReason::kAborted);
}

INSTANTIATE_TEST_SUITE_P(Callbacks, ConnectionCallbackTest,
                         ::testing::Values(Callback::kOpen, Callback::kData, Callback::kKeptData,
                                           Callback::kEof, Callback::kDrained, Callback::kDeadline,
                                           Callback::kDrain, Callback::kClosed),
                         [](const auto& tested) { return ::testing::PrintToString(tested.param); });

}  // namespace
}  // namespace quintet::testing
