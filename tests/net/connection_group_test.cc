#include "net/connection_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/connection.h"
#include "tests/net/sim_fixture.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

class ConnectionGroupTest : public SimTest {
 protected:
  ConnectionGroupTest() { group = std::make_unique<ConnectionGroup>(*loop, options, &counters); }
  void TearDown() override {
    peers.clear();
    SimTest::TearDown();
  }

  Connection* AdoptOne(Script& of) {
    const auto [ours, theirs] = network.CreatePair();
    peers.push_back(std::make_unique<SimPeer>(network, theirs));
    return *group->Adopt(Socket(ours), NewSession(of));
  }

  ConnectionCounters counters;
  std::vector<std::unique_ptr<SimPeer>> peers;
  std::array<Script, 3> scripts;
};

TEST_F(ConnectionGroupTest, CountsAndTellsOfTheEnd) {
  int ended = 0;
  group->set_on_closed([&] {
    ++ended;
    EXPECT_TRUE(scripts[1].destroyed) << "the session outlived its connection";
  });
  for (Script& s : scripts) {
    s.on_data = [](Transport& transport, std::string_view bytes) {
      transport.Write("12");
      return bytes.size();
    };
    AdoptOne(s);
  }
  EXPECT_EQ(group->size(), 3U);
  EXPECT_EQ(counters.active, 3U);
  peers[1]->Send("x");
  RunFor(10ms);
  EXPECT_EQ(counters.bytes_in, 1U);
  EXPECT_EQ(counters.bytes_out, 2U);
  peers[1]->Reset();
  RunFor(10ms);
  EXPECT_EQ(group->size(), 2U);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(counters.opened, 3U);
  EXPECT_EQ(counters.active, 2U);
}

TEST_F(ConnectionGroupTest, AdoptFailsWithoutACall) {
  auto result = group->Adopt(Socket(-1), NewSession(script));
  EXPECT_FALSE(result.ok());
  EXPECT_TRUE(script.destroyed);
  EXPECT_TRUE(script.calls.empty());
  EXPECT_EQ(counters.refused, 1U);
  EXPECT_EQ(counters.opened, 0U);
  EXPECT_EQ(group->size(), 0U);
}

TEST_F(ConnectionGroupTest, DrainReachesThoseThatAreAndThoseThatCome) {
  AdoptOne(scripts[0]);
  group->Drain();
  EXPECT_EQ(scripts[0].Count("drain"), 0U);  // never inside the call
  RunFor(1ms);
  EXPECT_EQ(scripts[0].Count("drain"), 1U);
  AdoptOne(scripts[1]);
  RunFor(1ms);
  EXPECT_EQ(scripts[1].calls, (std::vector<std::string>{"open", "drain"}));
}

TEST_F(ConnectionGroupTest, DrainReachesThoseThatAreConnectedLater) {
  peers.push_back(std::make_unique<SimPeer>(network));
  peers[0]->AcceptOn(80);
  group->Drain();
  const Address address = *Address::Parse("127.0.0.1:80");
  ASSERT_TRUE(group->Connect(Socket(network.CreateSocket()), address, 1s, NewSession(script)).ok());
  RunFor(10ms);
  EXPECT_EQ(script.calls, (std::vector<std::string>{"open", "drain"}));
}

// Whichever leaves, the group still reaches those that stay, and no other.
TEST_F(ConnectionGroupTest, ConnectionsLeaveInAnyOrder) {
  std::array<size_t, 3> order = {0, 1, 2};
  do {
    scripts = {};
    peers.clear();
    for (Script& s : scripts) {
      s.on_drain = [](Transport&) {};
      AdoptOne(s);
    }
    size_t left = scripts.size();
    for (const size_t leaving : order) {
      peers[leaving]->Reset();
      RunFor(10ms);
      ASSERT_EQ(group->size(), --left);
      for (Script& s : scripts) s.calls.clear();
      group->Drain();
      RunFor(1ms);
      size_t drained = 0;
      for (const Script& s : scripts) drained += s.Count("drain");
      EXPECT_EQ(drained, left);
      EXPECT_EQ(scripts[leaving].Count("drain"), 0U);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(ConnectionGroupTest, AbortAllTellsEach) {
  for (Script& s : scripts) AdoptOne(s);
  group->AbortAll(CloseReason::kAborted);
  for (const Script& s : scripts) EXPECT_FALSE(s.closed());
  RunFor(10ms);
  for (const Script& s : scripts) EXPECT_EQ(s.reason, CloseReason::kAborted);
  EXPECT_EQ(group->size(), 0U);
}

// Whether the peer saw a reset, and what the session was told.
TEST_F(ConnectionGroupTest, EndAllIsGentleWhereNothingIsLost) {
  Script& idle = scripts[0];
  idle.idle = true;
  AdoptOne(idle);
  Script& busy = scripts[1];
  AdoptOne(busy);
  Script& ended = scripts[2];
  ended.idle = true;
  AdoptOne(ended)->Close();
  RunFor(10ms);
  group->EndAll();
  for (const Script& s : scripts) EXPECT_FALSE(s.closed()) << "never inside the call";
  RunFor(10ms);
  EXPECT_EQ(idle.reason, CloseReason::kDrained);
  EXPECT_TRUE(peers[0]->saw_fin());
  EXPECT_FALSE(peers[0]->saw_reset());
  EXPECT_EQ(busy.reason, CloseReason::kAborted);
  EXPECT_TRUE(peers[1]->saw_reset());
  // All was sent, and the peer may be reading it.
  EXPECT_EQ(ended.reason, CloseReason::kLingerTimeout);
  EXPECT_TRUE(peers[2]->saw_fin());
  EXPECT_FALSE(peers[2]->saw_reset());
  EXPECT_EQ(group->size(), 0U);
}

// The session says that it is idle, the connection knows better.
TEST_F(ConnectionGroupTest, EndAllAbortsWhatIsUnfinished) {
  for (Script& s : scripts) s.idle = true;
  network.mutable_options().window_bytes = 100;
  Connection* const writer = AdoptOne(scripts[0]);
  peers[0]->StopReading();
  writer->Write(std::string(1000, 'x'));
  AdoptOne(scripts[1]);
  scripts[1].on_data = [](Transport&, std::string_view) { return size_t{0}; };
  peers[1]->Send("not consumed");
  AdoptOne(scripts[2]);
  scripts[2].on_eof = [](Transport&) {};
  peers[2]->ShutdownSend();
  RunFor(10ms);
  group->EndAll();
  RunFor(10ms);
  for (const Script& s : scripts) EXPECT_EQ(s.reason, CloseReason::kAborted);
  EXPECT_EQ(group->size(), 0U);
}

TEST_F(ConnectionGroupTest, EndAllInACallbackAbortsTheCaller) {
  for (Script& s : scripts) s.idle = true;
  scripts[0].on_data = [this](Transport&, std::string_view bytes) {
    group->EndAll();
    return bytes.size();
  };
  AdoptOne(scripts[0]);
  AdoptOne(scripts[1]);
  peers[0]->Send("x");
  RunFor(10ms);
  EXPECT_EQ(scripts[0].reason, CloseReason::kAborted);
  EXPECT_EQ(scripts[1].reason, CloseReason::kDrained);
}

TEST_F(ConnectionGroupTest, ConnectionsKnowWhetherTheServerStops) {
  Connection* const one = AdoptOne(script);
  EXPECT_FALSE(one->stopping());
  group->set_stopping(true);
  EXPECT_TRUE(one->stopping());
  EXPECT_TRUE(AdoptOne(scripts[0])->stopping());
  group->set_stopping(false);
  EXPECT_FALSE(one->stopping());
}

TEST_F(ConnectionGroupTest, DestroyedWithASendInFlight) {
  backend->set_hold_sends(true);
  AdoptOne(script)->Write(std::string(10'000, 'x'));
  RunFor(1ms);
  group.reset();
  RunFor(10ms);
  EXPECT_EQ(script.reason, CloseReason::kAborted);
  EXPECT_TRUE(script.destroyed);
  EXPECT_EQ(counters.active, 0U);
}

TEST_F(ConnectionGroupTest, TheLoopMayGoBeforeTheSessionsWereTold) {
  AdoptOne(script);
  group.reset();
  loop.reset();
  EXPECT_EQ(script.reason, CloseReason::kAborted);
  EXPECT_TRUE(script.destroyed);
}

TEST_F(ConnectionGroupTest, ExecutorReachesTheLoopAndRefusesAfterwards) {
  AdoptOne(script);
  const std::shared_ptr<Executor> executor = group->executor();
  bool ran = false;
  std::thread([&] { EXPECT_TRUE(executor->Post([&] { ran = true; })); }).join();
  RunFor(1ms);
  EXPECT_TRUE(ran);
  group.reset();
  loop.reset();
  std::thread([&] { EXPECT_FALSE(executor->Post([&] { FAIL(); })); }).join();
}

TEST_F(ConnectionGroupTest, PooledMemoryReturnsWhenConnectionsEnd) {
  network.mutable_options().window_bytes = 1;
  Connection* const writer = AdoptOne(script);
  peers[0]->StopReading();
  writer->Write(std::string(1000, 'x'));
  RunFor(1ms);
  EXPECT_EQ(group->pool().kept_bytes(), 0U);
  writer->Abort(CloseReason::kAborted);
  RunFor(10ms);
  EXPECT_GT(group->pool().kept_bytes(), 0U);
}

}  // namespace
}  // namespace quintet::testing
