#include "net/process_generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "net/listen_sockets.h"
#include "tests/net/real_server.h"
#include "tests/net/supervised_server.h"
#include "tests/support/backend_kinds.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr size_t kWorkers = 2;

// The counters of all workers, as SIGUSR1 has them logged.
struct Totals {
  uint64_t accepted = 0;
  uint64_t active = 0;
  uint64_t bytes_in = 0;
  uint64_t refused = 0;
};

uint64_t NumberBehind(const std::string& line, std::string_view name) {
  const size_t at = line.find(name);
  return at == std::string::npos ? 0 : std::stoull(line.substr(at + name.size()));
}

// As in proc_pid_stat(5).
char StateOf(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string stat;
  std::getline(file, stat);
  const size_t name_end = stat.rfind(')');
  return name_end + 2 < stat.size() ? stat[name_end + 2] : '?';
}

class ProcessGenerationTest
    : public ::testing::TestWithParam<std::tuple<ListenPolicy, BackendKind>> {
 protected:
  void SetUp() override {
    const auto [policy, backend] = GetParam();
    if (!RequireBackend(backend)) return;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.policy = policy;
    options.loop.backend.kind = backend;
    options.drain_timeout = 20s;
  }
  void Start() { server.Start(WorkerKind::kProcess, options); }
  void ExpectAllServed(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(server.Serves()) << "connection " << i;
  }
  // Clients that have been answered and stay.
  std::vector<Fd> DialAndKeep(size_t count) {
    std::vector<Fd> clients;
    for (size_t i = 0; i < count; ++i) clients.push_back(Dial(server.address()));
    ExpectEchoes(clients);
    return clients;
  }
  static void ExpectEchoes(const std::vector<Fd>& clients) {
    for (const Fd& client : clients) ASSERT_TRUE(SendAll(client.get(), "a"));
    for (const Fd& client : clients) ASSERT_EQ(ReceiveExactly(client.get(), 1), "a");
  }
  Totals ReadTotals() {
    server.Signal(SIGUSR1);
    Totals totals;
    for (size_t worker = 0; worker < kWorkers; ++worker) {
      const std::string line = server.WaitForLine("accepted ");
      totals.accepted += NumberBehind(line, "accepted ");
      totals.active += NumberBehind(line, "active ");
      totals.bytes_in += NumberBehind(line, "bytes in ");
      totals.refused += NumberBehind(line, "refused ");
    }
    return totals;
  }
  template <typename Done>
  [[nodiscard]] static bool Eventually(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!done()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      ::usleep(1000);
    }
    return true;
  }
  // Both, for connections are closed a moment after their clients.
  void ExpectTotals(uint64_t accepted, uint64_t active) {
    Totals totals;
    EXPECT_TRUE(Eventually([&] {
      totals = ReadTotals();
      return totals.accepted == accepted && totals.active == active;
    })) << "accepted "
        << totals.accepted << ", active " << totals.active;
  }
  void ExpectEnd() {
    server.Signal(SIGTERM);
    EXPECT_EQ(server.WaitForExit(), 0);
  }

  ServerOptions options;
  SupervisedServer server;
};

std::string Name(const ::testing::TestParamInfo<ProcessGenerationTest::ParamType>& info) {
  const auto [policy, backend] = info.param;
  return std::string(ListenPolicyName(policy)) + "_" + std::string(BackendName(backend));
}

INSTANTIATE_TEST_SUITE_P(Policies, ProcessGenerationTest,
                         ::testing::Combine(::testing::ValuesIn(kListenPolicies),
                                            ::testing::Values(BackendKind::kEpollEt,
                                                              BackendKind::kIoUring)),
                         Name);

using HandoffGenerationTest = ProcessGenerationTest;
INSTANTIATE_TEST_SUITE_P(Policies, HandoffGenerationTest,
                         ::testing::Combine(::testing::Values(ListenPolicy::kHandoff),
                                            ::testing::Values(BackendKind::kEpollEt,
                                                              BackendKind::kIoUring)),
                         Name);

// ---- Replacing ----

TEST_P(ProcessGenerationTest, AReplacedWorkerIsCountedBesideItsSuccessors) {
  server.script().ignores_drain = true;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<Fd> kept = DialAndKeep(8);
  ExpectTotals(8, 8);
  for (uint64_t round = 1; round <= 2; ++round) {
    // The second is the successor of the first, which still drains.
    const pid_t asked = round == 1 ? server.Workers().front() : server.Workers().back();
    ASSERT_EQ(::kill(asked, SIGTERM), 0);
    ASSERT_NE(server.WaitForLine("was asked to leave: replacing it"), "");
    ASSERT_NE(server.WaitForLine("is serving"), "");
    ExpectAllServed(20);
    ASSERT_NO_FATAL_FAILURE(ExpectEchoes(kept));
    ExpectTotals(8 + 20 * round, 8);
    EXPECT_EQ(ReadTotals().bytes_in, 8 * (1 + round) + 20 * 5 * round);
  }
  kept.clear();
  EXPECT_TRUE(Eventually([&] { return server.Workers().size() == kWorkers; }));
  ExpectTotals(48, 0);
  EXPECT_EQ(ReadTotals().bytes_in, 8U * 3 + 40 * 5);
  ASSERT_EQ(::kill(server.Workers().front(), SIGKILL), 0);
  ASSERT_NE(server.WaitForLine("is serving"), "");
  ExpectTotals(48, 0);
  ExpectEnd();
}

TEST_P(ProcessGenerationTest, WorkersAskedToLeaveBeforeTheyServeAreReplacedThen) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::vector<pid_t> before = server.Workers();
  server.script().hanging_worker = 1;
  server.Signal(SIGHUP);
  ASSERT_TRUE(Eventually([&] { return server.Workers().size() == 2 * kWorkers; }));
  std::vector<pid_t> asked = server.Workers();
  std::erase_if(asked, [&](pid_t worker) {
    return std::find(before.begin(), before.end(), worker) != before.end();
  });
  for (const pid_t worker : asked) ASSERT_EQ(::kill(worker, SIGTERM), 0);
  EXPECT_THAT(server.WaitForLine("it will be replaced"), HasSubstr("worker 0"));
  server.script().hanging_worker = -1;
  EXPECT_THAT(server.WaitForLine("replacing it"), HasSubstr("worker 0"));
  ASSERT_NE(server.WaitForLine("reloaded"), "");
  EXPECT_TRUE(Eventually([&] {
    const std::vector<pid_t> now = server.Workers();
    return now.size() == kWorkers &&
           std::find_first_of(now.begin(), now.end(), asked.begin(), asked.end()) == now.end();
  }));
  ExpectAllServed(40);
  ExpectEnd();
}

TEST_P(HandoffGenerationTest, AReplacedWorkerThatHangsIsKilled) {
  options.drain_timeout = 100ms;
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::vector<Fd> kept = DialAndKeep(4);
  const pid_t asked = server.Workers().front();
  server.script().blocks_drain = true;
  ASSERT_EQ(::kill(asked, SIGTERM), 0);
  ASSERT_NE(server.WaitForLine("is serving"), "");
  EXPECT_THAT(server.WaitForLine("does not end: killing it"), HasSubstr(std::to_string(asked)));
  EXPECT_THAT(server.WaitForLine("died while it drained"), HasSubstr("signal 9 (SIGKILL)"));
  server.script().blocks_drain = false;
  EXPECT_TRUE(Eventually([&] { return server.Workers().size() == kWorkers; }));
  ExpectAllServed(20);
  ExpectEnd();
}

// ---- Deaths in a drain ----

TEST_P(HandoffGenerationTest, ADeathInADrainIsLogged) {
  server.script().ignores_drain = true;
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::vector<Fd> kept = DialAndKeep(16);
  const pid_t asked = server.Workers().front();
  ASSERT_EQ(::kill(asked, SIGTERM), 0);
  ASSERT_NE(server.WaitForLine("is serving"), "");
  ASSERT_EQ(::kill(asked, SIGKILL), 0);
  EXPECT_THAT(server.WaitForLine("died while it drained"), HasSubstr(std::to_string(asked)));
  server.Signal(SIGQUIT);
  ASSERT_NE(server.WaitForLine("stopping"), "");
  // The one that was there from the start has connections.
  const pid_t other = server.Workers().front();
  ASSERT_EQ(::kill(other, SIGKILL), 0);
  const std::string line = server.WaitForLine("died while it drained");
  EXPECT_THAT(line, HasSubstr(std::to_string(other)));
  EXPECT_THAT(line, HasSubstr("signal 9 (SIGKILL)"));
  EXPECT_EQ(server.WaitForExit(), 0);
}

// Killed before it could say that it accepts no more: others must look for what it was woken for.
TEST(ProcessGenerationEventsTest, AWorkerThatDiesInADrainHasLeft) {
  EventLoopOptions loop_options;
  loop_options.backend.kind = BackendKind::kPoll;
  loop_options.backend.log = nullptr;
  auto loop = EventLoop::Create(loop_options);
  ASSERT_TRUE(loop.ok()) << loop.status();
  ServerOptions server;
  server.addresses = {*Address::Parse("127.0.0.1:0")};
  server.policy = ListenPolicy::kShared;
  server.loop.backend = loop_options.backend;
  auto sockets = ListenSockets::Open({.addresses = server.addresses, .policy = server.policy});
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  int left = 0;
  std::string failed;
  ProcessGeneration* drained = nullptr;
  GenerationSetup setup;
  setup.server = server;
  setup.sessions = std::make_shared<FunctionFactory>(EchoFactory());
  setup.sockets = *std::move(sockets);
  ProcessGeneration generation(**loop, std::move(setup),
                               {.ready =
                                    [&] {
                                      const auto worker =
                                          static_cast<pid_t>(drained->Stats().front().pid);
                                      // It reads nothing from here on.
                                      EXPECT_EQ(::kill(worker, SIGSTOP), 0);
                                      while (StateOf(worker) != 'T') ::usleep(1000);
                                      drained->Drain({.timeout = 20s, .stopping = false});
                                      EXPECT_EQ(::kill(worker, SIGKILL), 0);
                                    },
                                .failed =
                                    [&](absl::Status status) {
                                      failed = status.ToString();
                                      (*loop)->Stop();
                                    },
                                .left = [&] { ++left; },
                                .ended = [&] { (*loop)->Stop(); }});
  drained = &generation;
  ASSERT_TRUE(generation.Start().ok());
  ASSERT_TRUE(generation.Prepare().ok());
  generation.Serve();
  (*loop)->Run();
  EXPECT_EQ(failed, "");
  EXPECT_GT(left, 0);
}

// ---- The delay before a drain ----

TEST_P(ProcessGenerationTest, WhatADeadWorkerLeavesIsServedAlsoWhenTheEndIsAnnounced) {
  options.drain_delay = 60s;
  ASSERT_NO_FATAL_FAILURE(Start());
  server.Signal(SIGTERM);
  ASSERT_NE(server.WaitForLine("stopping"), "");
  ASSERT_EQ(::kill(server.Workers().front(), SIGKILL), 0);
  ASSERT_THAT(server.WaitForLine("died"), HasSubstr("signal 9 (SIGKILL)"));
  ExpectAllServed(40);
  EXPECT_EQ(server.Workers().size(), kWorkers - 1) << "one was started for a server that ends";
  ExpectEnd();
}

TEST_P(ProcessGenerationTest, WhereNoWorkerIsLeftBeforeTheDrainItEnds) {
  options.drain_delay = 60s;
  ASSERT_NO_FATAL_FAILURE(Start());
  server.Signal(SIGTERM);
  ASSERT_NE(server.WaitForLine("stopping"), "");
  for (const pid_t worker : server.Workers()) ASSERT_EQ(::kill(worker, SIGKILL), 0);
  EXPECT_EQ(server.WaitForExit(), 0);
  EXPECT_FALSE(server.Serves());
}

TEST_P(ProcessGenerationTest, TheDelayEndsByItself) {
  options.drain_delay = 300ms;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<Fd> kept = DialAndKeep(4);
  const auto begin = std::chrono::steady_clock::now();
  server.Signal(SIGTERM);
  for (const Fd& client : kept) EXPECT_EQ(ReceiveToEnd(client.get()), "");
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, options.drain_delay);
  EXPECT_LT(took, options.drain_delay + ProcessGeneration::kKillGrace) << "nobody told the workers";
  kept.clear();
  EXPECT_EQ(server.WaitForExit(), 0);
}

// The acceptor is late with the end of the delay, as on a busy machine: a worker that went by its
// own clock would be gone.
TEST_P(HandoffGenerationTest, WorkersAreThereForTheLastThatIsAccepted) {
  options.drain_delay = 2s;
  ASSERT_NO_FATAL_FAILURE(Start());
  server.Signal(SIGTERM);
  ASSERT_NE(server.WaitForLine("stopping"), "");
  ExpectAllServed(1);  // so the workers have been told
  server.Signal(SIGSTOP);
  Fd last = Dial(server.address());
  ASSERT_TRUE(SendAll(last.get(), "last"));
  // Nothing may happen, so there is nothing to wait for.
  ::usleep(2'300'000);
  server.Signal(SIGCONT);
  EXPECT_EQ(ReceiveExactly(last.get(), 4), "last");
  last.Reset();
  EXPECT_EQ(server.WaitForExit(), 0);
}

// ---- Descriptors ----

TEST_P(HandoffGenerationTest, MoreClientsThanWorkersHaveDescriptorsForWaitAndAreServed) {
  server.script().descriptor_limit = 80;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<Fd> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(Dial(server.address()));
    ASSERT_TRUE(clients.back()) << i;
    ASSERT_TRUE(SendAll(clients.back().get(), "a"));
  }
  // Those that came first are accepted first, and leave their place to others.
  for (size_t i = 0; i < clients.size(); ++i) {
    ASSERT_EQ(ReceiveExactly(clients[i].get(), 1), "a") << "client " << i;
    clients[i].Reset();
  }
  const Totals totals = ReadTotals();
  EXPECT_EQ(totals.accepted, 200U);
  EXPECT_EQ(totals.refused, 0U);
  ExpectEnd();
}

TEST_P(HandoffGenerationTest, AConnectionThatIsLostForWantOfADescriptorIsCounted) {
  ASSERT_NO_FATAL_FAILURE(Start());
  // No room for another number, whatever the supervisor was told when they were ready.
  rlimit before;
  for (const pid_t worker : server.Workers()) {
    ASSERT_EQ(::prlimit(worker, RLIMIT_NOFILE, nullptr, &before), 0);
    const rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    ASSERT_EQ(::prlimit(worker, RLIMIT_NOFILE, &none, nullptr), 0);
  }
  const Fd client = Dial(server.address());
  EXPECT_EQ(ReceiveToEnd(client.get()), "");
  EXPECT_THAT(server.WaitForLine("lost"), HasSubstr("no descriptor is left"));
  const Totals totals = ReadTotals();
  EXPECT_EQ(totals.refused, 1U);
  EXPECT_EQ(totals.accepted, 1U);
  for (const pid_t worker : server.Workers()) {
    ASSERT_EQ(::prlimit(worker, RLIMIT_NOFILE, &before, nullptr), 0);
  }
  ExpectAllServed(10);
  ExpectEnd();
}

}  // namespace
}  // namespace quintet::testing
