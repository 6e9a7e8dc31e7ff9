// The model of processes made in advance: how many there are.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "net/models/model.h"
#include "net/models/model_core.h"
#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

constexpr ServedKind kPrefork{.model = ServerModel::kPrefork};

TEST(PreforkModelTest, GrowsWhenAllAreBusyAndShrinksAgain) {
  for (const PreforkAccept accept : {PreforkAccept::kBlocking, PreforkAccept::kPoll}) {
    SCOPED_TRACE(PreforkAcceptName(accept));
    ScriptedFactory sessions(EchoScript());
    ModelOptions model;
    model.min_workers = 1;
    model.max_workers = 4;
    model.idle_worker_timeout = 200ms;
    Served served({.model = ServerModel::kPrefork, .accept = accept}, sessions, {}, model);
    ASSERT_TRUE(Eventually([&] { return served.Stats().workers == 1; }));
    std::vector<Fd> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(served.Connect());
      EXPECT_TRUE(Echoes(clients.back())) << i;
    }
    EXPECT_TRUE(Eventually([&] { return served.Stats().workers == 4; }));
    // Nobody is left for a fifth one: it waits.
    Fd fifth = served.Connect();
    ASSERT_TRUE(SendAll(fifth.get(), "?"));
    clients.clear();
    EXPECT_EQ(ReceiveExactly(fifth.get(), 1), "?");
    // Those who are not needed leave, but one stays beside the one that is busy.
    EXPECT_TRUE(Eventually([&] { return served.Stats().workers == 2; }));
    EXPECT_TRUE(Echoes(served.Connect()));
    fifth.Reset();
    EXPECT_TRUE(Eventually([&] { return served.Stats().workers == 1; }));
    EXPECT_TRUE(Echoes(served.Connect()));
    EXPECT_EQ(served.Stats().most_workers, 4U);
    EXPECT_EQ(served.Stats().crashed, 0U);
  }
}

TEST(PreforkModelTest, WorkersThatCrashAreReplaced) {
  ScriptedFactory sessions({.on_data = [](ScriptedSession& session, std::string_view bytes) {
    if (bytes[0] == '!') ::raise(SIGKILL);
    session.transport().Write(bytes);
    return bytes.size();
  }});
  Served served(kPrefork, sessions);
  for (int i = 0; i < 4; ++i) {
    const Fd client = served.Connect();
    ASSERT_TRUE(SendAll(client.get(), "!"));
    EXPECT_EQ(ReceiveToEnd(client.get()), "");
  }
  EXPECT_TRUE(Echoes(served.Connect()));
  EXPECT_TRUE(Eventually([&] {
    return served.Stats().crashed == 4 && served.Stats().workers == 4 &&
           ZombiesOf(served.pid()).empty();
  }));
}

// A worker that is killed on its way out of the pool, at each point of the way.
class WorkerThatLeavesTest : public ::testing::Test {
 protected:
  ~WorkerThatLeavesTest() override {
    core_->schedule().Stop();
    EXPECT_EQ(server_->Wait(), 0);
  }
  void Start(size_t workers) {
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.loop.backend.log = nullptr;
    ModelOptions model{.model = ServerModel::kPrefork};
    model.min_workers = model.max_workers = workers;
    core_ = *ModelCore::Create(model, options, sessions_);
    server_ = std::make_unique<ForkedProcess>(
        [this] { return CreatePreforkModel(*core_)->Run().ok() ? 0 : 1; });
    ASSERT_TRUE(Eventually([this] { return AllAre(WorkerState::kIdle); }));
  }
  // All have come as far as `state`, and one of them dies.
  void KillOneAt(WorkerState state, uint64_t pool) {
    const size_t workers = counters().places();
    for (size_t i = 0; i < workers; ++i) counters().place(i).state = state;
    counters().server().pool = pool;
    ASSERT_EQ(::kill(LivingChildrenOf(server_->pid()).front(), SIGKILL), 0);
    ASSERT_TRUE(Eventually([this] { return counters().Stats().crashed == 1; }));
  }
  bool AllAre(WorkerState state) {
    for (size_t i = 0; i < counters().places(); ++i) {
      if (counters().place(i).state != state) return false;
    }
    return true;
  }
  ModelCounters& counters() { return core_->counters(); }
  bool PoolBecomes(uint64_t size) {
    return Eventually([this, size] { return counters().server().pool == size; });
  }
  bool WorkersBecome(uint64_t number) {
    return Eventually([this, number] { return counters().Stats().workers == number; });
  }

 private:
  ScriptedFactory sessions_{EchoScript()};
  std::unique_ptr<ModelCore> core_;
  std::unique_ptr<ForkedProcess> server_;
};

TEST_F(WorkerThatLeavesTest, IsReplacedWhileItIsInThePool) {
  Start(1);
  KillOneAt(WorkerState::kLeaving, 1);
  EXPECT_TRUE(WorkersBecome(1));
  EXPECT_TRUE(PoolBecomes(1));
}

TEST_F(WorkerThatLeavesTest, IsCountedAgainWhenItHadCountedItselfOut) {
  Start(1);
  KillOneAt(WorkerState::kLeaving, 0);
  EXPECT_TRUE(WorkersBecome(1));
  EXPECT_TRUE(PoolBecomes(1));
}

TEST_F(WorkerThatLeavesTest, MakesRoomForAnotherWhenItHasLeft) {
  Start(2);
  KillOneAt(WorkerState::kLeft, 0);
  // Somebody may have found the pool full: one is started, and counted.
  EXPECT_TRUE(PoolBecomes(1));
  EXPECT_TRUE(WorkersBecome(2));
}

}  // namespace
}  // namespace quintet::testing
