// Promise 26: the thundering herd of processes on one socket, and its absence elsewhere.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <string>

#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

class HerdOfProcessesTest : public ::testing::TestWithParam<ServedKind> {};
INSTANTIATE_TEST_SUITE_P(
    All, HerdOfProcessesTest,
    ::testing::Values(
        ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kBlocking},
        ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kSelect},
        ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kPoll},
        ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kEpoll},
        ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kReusePort}),
    ServedKindName);

// Times that the children of `pid` went to sleep.
uint64_t Sleeps(pid_t pid) {
  uint64_t sum = 0;
  for (const pid_t child : LivingChildrenOf(pid)) {
    std::ifstream status("/proc/" + std::to_string(child) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("voluntary_ctxt_switches:")) sum += std::stoull(line.substr(24));
    }
  }
  return sum;
}

// Sleeps are counted, not empty accepts alone: who is woken looks once more within select(2),
// poll(2) or epoll_wait(2), and sleeps on where somebody else was faster. (That empty accepts are
// counted where they come: net/models/blocking_acceptor_test.)
TEST_P(HerdOfProcessesTest, SixteenWorkersAndAThousandLoneConnections) {
  const auto connections = static_cast<uint64_t>(Scaled(1000));
  ModelOptions model;
  model.min_workers = model.max_workers = 16;
  ScriptedFactory sessions(
      {.on_open = [](ScriptedSession& session) { session.transport().Close(); }});
  Served served(GetParam(), sessions, {}, model);
  const auto serve_one = [&] {
    const Fd client = served.Connect();
    return client && ReceiveToEnd(client.get()).empty();
  };
  ASSERT_TRUE(serve_one());
  const uint64_t before = Sleeps(served.pid());
  for (uint64_t i = 0; i < connections; ++i) {
    ASSERT_TRUE(serve_one());
    ASSERT_TRUE(Eventually([&] { return served.Stats().active == 0; }));
  }
  const double sleeps =
      static_cast<double>(Sleeps(served.pid()) - before) / static_cast<double>(connections);
  const uint64_t empty = served.Stats().empty_accepts;
  std::cout << "times asleep per connection: " << sleeps << ", empty accepts: " << empty << "\n";
  const PreforkAccept accept = GetParam().accept;
  if (accept == PreforkAccept::kBlocking || accept == PreforkAccept::kReusePort) {
    EXPECT_EQ(empty, 0U);
    EXPECT_LT(sleeps, 4);
  } else {
    EXPECT_GT(sleeps, 4);
  }
}

}  // namespace
}  // namespace quintet::testing
