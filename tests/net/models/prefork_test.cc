// The model of processes made in advance: how many there are.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

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

}  // namespace
}  // namespace quintet::testing
