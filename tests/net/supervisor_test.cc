#include "net/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "tests/net/real_server.h"
#include "tests/net/supervised_server.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class SupervisorTest
    : public ::testing::TestWithParam<std::tuple<WorkerKind, ListenPolicy, BackendKind>> {
 protected:
  void SetUp() override {
    const auto [kind, policy, backend] = GetParam();
    if (!RequireBackend(backend)) return;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.policy = policy;
    options.loop.backend.kind = backend;
    options.drain_timeout = 20s;
  }
  void Start(Duration start_timeout = 20s) {
    server.Start(std::get<0>(GetParam()), options, start_timeout);
  }
  void ExpectAllServed(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(server.Serves()) << "connection " << i;
  }
  bool processes() const { return std::get<0>(GetParam()) == WorkerKind::kProcess; }

  ServerOptions options;
  SupervisedServer server;
};

std::string SupervisorName(const ::testing::TestParamInfo<SupervisorTest::ParamType>& info) {
  const auto [kind, policy, backend] = info.param;
  return std::string(kind == WorkerKind::kThread ? "thread" : "process") + "_" +
         std::string(ListenPolicyName(policy)) + "_" + std::string(BackendName(backend));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SupervisorTest,
    ::testing::Combine(::testing::Values(WorkerKind::kThread, WorkerKind::kProcess),
                       ::testing::ValuesIn(kListenPolicies),
                       ::testing::Values(BackendKind::kEpollEt, BackendKind::kIoUring)),
    SupervisorName);

using ProcessSupervisorTest = SupervisorTest;
INSTANTIATE_TEST_SUITE_P(Kinds, ProcessSupervisorTest,
                         ::testing::Combine(::testing::Values(WorkerKind::kProcess),
                                            ::testing::ValuesIn(kListenPolicies),
                                            ::testing::Values(BackendKind::kEpollEt,
                                                              BackendKind::kIoUring)),
                         SupervisorName);

using HandoffSupervisorTest = SupervisorTest;
INSTANTIATE_TEST_SUITE_P(
    Kinds, HandoffSupervisorTest,
    ::testing::Combine(::testing::Values(WorkerKind::kThread, WorkerKind::kProcess),
                       ::testing::Values(ListenPolicy::kHandoff),
                       ::testing::Values(BackendKind::kEpollEt, BackendKind::kIoUring)),
    SupervisorName);

TEST_P(SupervisorTest, ServesAndEnds) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ExpectAllServed(50);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
  EXPECT_FALSE(server.Serves());
}

TEST_P(SupervisorTest, AReloadReplacesTheWorkersAndEndsTheOldOnes) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Fd kept = Dial(server.address());
  ASSERT_TRUE(SendAll(kept.get(), "before"));
  ASSERT_EQ(ReceiveExactly(kept.get(), 6), "before");
  const std::vector<pid_t> before = server.Workers();
  server.script().workers = 3;
  server.Signal(SIGHUP);
  ASSERT_NE(server.WaitForLine("reloaded"), "");
  ExpectAllServed(50);
  EXPECT_EQ(ReceiveToEnd(kept.get()), "") << "it was drained";
  kept.Reset();
  ASSERT_NE(server.WaitForLine("the old workers have ended"), "");
  if (processes()) {
    EXPECT_EQ(server.Workers().size(), 3U);
    for (const pid_t worker : before) EXPECT_THAT(server.Workers(), Each(Not(worker)));
  }
  server.script().workers = 1;
  server.Signal(SIGHUP);
  ASSERT_NE(server.WaitForLine("reloaded"), "");
  ExpectAllServed(100);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(SupervisorTest, ARefusedReloadChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(Start());
  server.script().load_fails = true;
  server.Signal(SIGHUP);
  EXPECT_THAT(server.WaitForLine("reload refused"), HasSubstr("on purpose"));
  ExpectAllServed(20);
  // More workers, one of whom cannot start: what was opened for them must take no connection.
  server.script().load_fails = false;
  server.script().workers = 5;
  server.script().failing_worker = 4;
  server.Signal(SIGHUP);
  EXPECT_THAT(server.WaitForLine("reload refused"), HasSubstr("cannot start, on purpose"));
  ExpectAllServed(200);
  server.script().failing_worker = -1;
  server.Signal(SIGHUP);
  EXPECT_NE(server.WaitForLine("reloaded"), "");
  ExpectAllServed(100);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(SupervisorTest, ADrainWithoutATimeoutWaitsAndASecondSignalDoesNot) {
  server.script().ignores_drain = true;
  ASSERT_NO_FATAL_FAILURE(Start());
  const Fd kept = Dial(server.address());
  ASSERT_TRUE(SendAll(kept.get(), "a"));
  ASSERT_EQ(ReceiveExactly(kept.get(), 1), "a");
  server.Signal(SIGQUIT);
  ASSERT_TRUE(SendAll(kept.get(), "b"));
  ASSERT_EQ(ReceiveExactly(kept.get(), 1), "b");
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

// Whether the other end has closed, and not merely been silent for a peer's patience.
bool HasEnded(const Fd& client) {
  char byte;
  return ::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0;
}

// A later plan may only shorten the time.
TEST_P(SupervisorTest, ADrainWithoutATimeoutKeepsTheDeadlineOfTheOneBeforeIt) {
  server.script().ignores_drain = true;
  options.drain_delay = 2s;
  options.drain_timeout = 1s;
  ASSERT_NO_FATAL_FAILURE(Start());
  Fd kept = Dial(server.address());
  ASSERT_TRUE(SendAll(kept.get(), "a"));
  ASSERT_EQ(ReceiveExactly(kept.get(), 1), "a");
  server.Signal(SIGTERM);
  ASSERT_NE(server.WaitForLine("stopping"), "");
  server.Signal(SIGQUIT);
  EXPECT_EQ(ReceiveToEnd(kept.get()), "");
  EXPECT_TRUE(HasEnded(kept)) << "the deadline has passed";
  kept.Reset();
  EXPECT_EQ(server.WaitForExit(), 0);
  EXPECT_EQ(server.WaitForLine("does not end"), "") << "the workers were not told of the deadline";
}

TEST_P(SupervisorTest, TheEndShortensTheDrainOfThoseThatAReloadHasReplaced) {
  server.script().ignores_drain = true;
  options.drain_delay = 200ms;
  options.drain_timeout = 300s;
  ASSERT_NO_FATAL_FAILURE(Start());
  Fd kept = Dial(server.address());
  ASSERT_TRUE(SendAll(kept.get(), "a"));
  ASSERT_EQ(ReceiveExactly(kept.get(), 1), "a");
  server.script().drain_timeout_ms = 100;
  server.Signal(SIGHUP);
  ASSERT_NE(server.WaitForLine("reloaded"), "");
  server.Signal(SIGTERM);
  EXPECT_EQ(ReceiveToEnd(kept.get()), "");
  EXPECT_TRUE(HasEnded(kept)) << "the deadline has passed";
  kept.Reset();
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(SupervisorTest, WhatADrainRefusesAndShows) {
  server.script().ignores_drain = true;
  ASSERT_NO_FATAL_FAILURE(Start());
  const Fd kept = Dial(server.address());
  ASSERT_TRUE(SendAll(kept.get(), "a"));
  ASSERT_EQ(ReceiveExactly(kept.get(), 1), "a");
  server.Signal(SIGQUIT);
  ASSERT_NE(server.WaitForLine("stopping"), "");
  server.Signal(SIGHUP);
  EXPECT_THAT(server.WaitForLine("reload refused"), HasSubstr("the server is ending"));
  server.Signal(SIGUSR2);
  EXPECT_THAT(server.WaitForLine("no successor is started"), HasSubstr("the server is ending"));
  server.Signal(SIGUSR1);
  EXPECT_THAT(server.WaitForLine("active 1"), HasSubstr(", draining): accepted 1, "));
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

// Those whom the kernel has let in, and nobody has accepted yet, are served before the end.
TEST_P(SupervisorTest, TheEndServesThoseWhoWaitToBeAccepted) {
  server.script().max_connections = 1;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<Fd> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(Dial(server.address()));
  server.Signal(SIGTERM);
  for (Fd& client : clients) {
    ASSERT_TRUE(SendAll(client.get(), "late"));
    EXPECT_EQ(ReceiveExactly(client.get(), 4), "late");
    EXPECT_EQ(ReceiveToEnd(client.get()), "");
    client.Reset();  // or the server would wait for its FIN
  }
  EXPECT_EQ(server.WaitForExit(), 0);
}

// The same of an address that a reload removes; whoever is at the other one notices nothing.
TEST_P(SupervisorTest, AReloadServesThoseWhoWaitAtAnAddressThatItRemoves) {
  options.addresses = {*Address::Parse("127.0.0.1:0"), *Address::Parse("127.0.0.2:0")};
  server.script().max_connections = 1;
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_EQ(server.addresses().size(), 2U);
  std::vector<Fd> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(Dial(server.addresses()[static_cast<size_t>(i) % 2]));
  }
  server.script().max_connections = 0;
  server.script().addresses = 1;
  server.Signal(SIGHUP);
  ASSERT_NE(server.WaitForLine("reloaded"), "");
  for (const Fd& client : clients) {
    ASSERT_TRUE(SendAll(client.get(), "late"));
    EXPECT_EQ(ReceiveExactly(client.get(), 4), "late");
  }
  ExpectAllServed(20);
  clients.clear();
  ASSERT_NE(server.WaitForLine("the old workers have ended"), "");
  EXPECT_FALSE(Dial(server.addresses()[1]));
  // And it may come back.
  server.script().addresses = 2;
  server.Signal(SIGHUP);
  ASSERT_NE(server.WaitForLine("reloaded"), "");
  ExpectAllServed(20);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(SupervisorTest, ATermDuringAReloadEndsAllWorkers) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Fd kept = Dial(server.address());
  ASSERT_TRUE(SendAll(kept.get(), "a"));
  ASSERT_EQ(ReceiveExactly(kept.get(), 1), "a");
  server.script().hanging_worker = 1;
  server.Signal(SIGHUP);
  while (server.script().hangs == 0) ::usleep(1000);
  const std::vector<pid_t> all = server.Workers();
  EXPECT_EQ(all.size(), processes() ? 4U : 0U);
  server.Signal(SIGTERM);
  // Threads start on the thread that takes the signals.
  if (!processes()) server.script().hanging_worker = -1;
  EXPECT_EQ(ReceiveToEnd(kept.get()), "");
  kept.Reset();
  EXPECT_EQ(server.WaitForExit(), 0);
  for (const pid_t worker : all) EXPECT_EQ(::kill(worker, 0), -1) << "a worker is left";
}

TEST_P(SupervisorTest, CountersAreLogged) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ExpectAllServed(10);
  server.Signal(SIGUSR1);
  int accepted = 0;
  for (int worker = 0; worker < 2; ++worker) {
    const std::string line = server.WaitForLine("accepted ");
    ASSERT_NE(line, "");
    accepted += std::stoi(line.substr(line.find("accepted ") + 9));
  }
  EXPECT_EQ(accepted, 10);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

// Connections that wait in the kernel to be accepted on this port (proc(5), /proc/net/tcp: of a
// socket that listens they stand where others have their unread bytes); -1: nobody listens there.
int AcceptQueue(uint16_t port) {
  constexpr unsigned kListening = 10;  // TCP_LISTEN
  std::ifstream file("/proc/net/tcp");
  for (std::string line; std::getline(file, line);) {
    unsigned local_port = 0;
    unsigned state = 0;
    unsigned queue = 0;
    if (std::sscanf(line.c_str(), " %*u: %*x:%x %*x:%*x %x %*x:%x", &local_port, &state, &queue) ==
            3 &&
        local_port == port && state == kListening) {
      return static_cast<int>(queue);
    }
  }
  return -1;
}

TEST_P(HandoffSupervisorTest, ADrainGivesAwayWhomNobodyHadRoomFor) {
  options.max_connections_per_shard = 2;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<Fd> silent;
  for (int i = 0; i < 4; ++i) silent.push_back(Dial(server.address()));
  Fd waiting = Dial(server.address());
  ASSERT_TRUE(SendAll(waiting.get(), "a"));
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (AcceptQueue(server.address().port()) != 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    ::usleep(1000);
  }
  // All five were accepted, and two workers are full with the first four.
  server.Signal(SIGTERM);
  EXPECT_EQ(ReceiveToEnd(waiting.get()), "a");
  waiting.Reset();
  for (Fd& client : silent) {
    ASSERT_TRUE(SendAll(client.get(), "b"));
    EXPECT_EQ(ReceiveToEnd(client.get()), "b");
    client.Reset();
  }
  EXPECT_EQ(server.WaitForExit(), 0);
}

// Old workers that abort take nobody from those who serve, also while one of them hangs.
TEST_P(HandoffSupervisorTest, AReloadWithoutATimeoutLeavesTheQueueToTheNewWorkers) {
  options.drain_timeout = Duration::zero();
  ASSERT_NO_FATAL_FAILURE(Start());
  Fd clients[] = {Dial(server.address()), Dial(server.address())};
  for (const Fd& client : clients) {
    ASSERT_TRUE(SendAll(client.get(), "a"));
    ASSERT_EQ(ReceiveExactly(client.get(), 1), "a");
  }
  server.script().blocks = true;
  ASSERT_TRUE(SendAll(clients[0].get(), "busy"));
  while (server.script().hangs == 0) ::usleep(1000);
  server.Signal(SIGHUP);
  ASSERT_NE(server.WaitForLine("reloaded"), "");
  // The other old worker has been told by then.
  ReceiveToEnd(clients[1].get());
  ExpectAllServed(40);
  server.script().blocks = false;
  ReceiveToEnd(clients[0].get());
  ASSERT_NE(server.WaitForLine("the old workers have ended"), "");
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

using ThreadSupervisorTest = SupervisorTest;
INSTANTIATE_TEST_SUITE_P(
    Kinds, ThreadSupervisorTest,
    ::testing::Combine(::testing::Values(WorkerKind::kThread), ::testing::ValuesIn(kListenPolicies),
                       ::testing::Values(BackendKind::kEpollEt, BackendKind::kIoUring)),
    SupervisorName);

// Out of descriptors at one step of the new workers' start after another: connections that are made
// all the while are served, by the old workers or by the new.
TEST_P(ThreadSupervisorTest, AReloadThatFailsAnywhereLosesNoConnection) {
  constexpr int kMaxDescriptors = 400;  // far more than it takes
  ASSERT_NO_FATAL_FAILURE(Start());
  std::atomic<bool> stop = false;
  std::atomic<int> served = 0;
  std::atomic<int> lost = 0;
  std::thread client([&] {
    while (!stop) ++(server.Serves() ? served : lost);
  });
  server.script().workers = 16;
  bool reloaded = false;
  int refused = 0;
  for (int left = 0; !reloaded && left < kMaxDescriptors; ++left) {
    server.script().descriptors_left = left;
    server.Signal(SIGHUP);
    const std::string line = server.WaitForLine("reload");
    EXPECT_NE(line, "");
    reloaded = line.find("reloaded") != std::string::npos;
    refused += reloaded ? 0 : 1;
    if (line.empty()) break;
  }
  const int before = served;
  while (served < before + 20 && lost == 0) std::this_thread::yield();
  stop = true;
  client.join();
  EXPECT_EQ(lost, 0) << "of " << served + lost;
  EXPECT_TRUE(reloaded);
  EXPECT_GT(refused, 10);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

// As a program that embeds a supervisor uses it.
class EmbeddedSupervisorTest : public DescriptorLeakTest,
                               public ::testing::WithParamInterface<WorkerKind> {
 protected:
  // Serves "127.0.0.1:0" with two workers; a load after the first has as many as `workers` says.
  std::unique_ptr<Supervisor> Make(SupervisorOptions options) {
    options.log = nullptr;
    auto supervisor = Supervisor::Create(std::move(options), [this] {
      ++loads;
      Service service{.kind = GetParam()};
      service.server.addresses = {*Address::Parse("127.0.0.1:0")};
      service.server.loop.backend.log = nullptr;
      service.server.shards = workers;
      service.server.pin = false;
      service.sessions =
          std::make_shared<FunctionFactory>([] { return std::make_unique<LastAnswerSession>(); });
      return absl::StatusOr<Service>(std::move(service));
    });
    EXPECT_TRUE(supervisor.ok()) << supervisor.status();
    return *std::move(supervisor);
  }
  static Fd Ask(const Address& address) {
    Fd client = Dial(address);
    EXPECT_TRUE(client && SendAll(client.get(), "hi"));
    return client;
  }
  static bool Answered(const Fd& client) { return ReceiveExactly(client.get(), 2) == "hi"; }

  std::atomic<int> workers = 2;
  std::atomic<int> loads = 0;
};
INSTANTIATE_TEST_SUITE_P(Kinds, EmbeddedSupervisorTest,
                         ::testing::Values(WorkerKind::kThread, WorkerKind::kProcess),
                         [](const auto& each) {
                           return each.param == WorkerKind::kThread ? "thread" : "process";
                         });

TEST_P(EmbeddedSupervisorTest, ReloadsAndStopsFromItsCallbacks) {
  Supervisor* running = nullptr;
  std::vector<std::string> events;
  // Answered while the loop runs: a callback must not wait for them.
  std::vector<Fd> clients;
  SupervisorOptions options;
  options.on_serving = [&] {
    events.push_back("serving");
    EXPECT_EQ(running->Stats().size(), 2U);
    clients.push_back(Ask(running->addresses()[0]));
    workers = 3;
    running->Reload();
  };
  options.on_reloading = [&] { events.push_back("reloading"); };
  options.on_reloaded = [&](bool done) {
    events.push_back(done ? "reloaded" : "refused");
    EXPECT_EQ(running->Stats().size(), 3U);
    clients.push_back(Ask(running->addresses()[0]));
    running->Stop();
  };
  options.on_stopping = [&] { events.push_back("stopping"); };
  auto supervisor = Make(std::move(options));
  running = supervisor.get();
  const Address address = supervisor->addresses()[0];
  EXPECT_TRUE(supervisor->Run().ok());
  EXPECT_THAT(events, ElementsAre("serving", "reloading", "reloaded", "stopping"));
  EXPECT_EQ(clients.size(), 2U);
  for (const Fd& client : clients) EXPECT_TRUE(Answered(client));
  EXPECT_EQ(loads, 2);
  supervisor.reset();
  EXPECT_FALSE(Dial(address));
}

TEST_P(EmbeddedSupervisorTest, StoppedBeforeItRunsItServesAndEnds) {
  bool served = false;
  SupervisorOptions options;
  options.on_stopping = [&] { served = true; };
  auto supervisor = Make(std::move(options));
  supervisor->Stop();
  EXPECT_TRUE(supervisor->Run().ok());
  EXPECT_TRUE(served);
}

// A successor that is told to end before it serves leaves everybody to its predecessor.
TEST_P(EmbeddedSupervisorTest, ASuccessorThatIsStoppedBeforeItServesEndsAndTakesNobody) {
  auto predecessors = ListenOn(*Address::Parse("127.0.0.1:0"), {});
  ASSERT_TRUE(predecessors.ok());
  const Address address = *predecessors->LocalAddress();
  const Fd client = Dial(address);
  ASSERT_TRUE(client);
  SupervisorOptions options;
  options.inherited.push_back(
      {Socket(::fcntl(predecessors->fd(), F_DUPFD_CLOEXEC, 0)), address, "quintet"});
  bool served = false;
  options.on_serving = [&] { served = true; };
  auto supervisor = Make(std::move(options));
  supervisor->Stop();
  EXPECT_TRUE(supervisor->Run().ok());
  supervisor.reset();
  EXPECT_FALSE(served);
  EXPECT_TRUE(Fd(::accept4(predecessors->fd(), nullptr, nullptr, SOCK_CLOEXEC)));
}

// With processes there may be no other threads.
TEST_P(EmbeddedSupervisorTest, ReloadsAndStopsFromAnotherThread) {
  if (GetParam() == WorkerKind::kProcess) GTEST_SKIP() << "a thread of the program's own";
  constexpr int kReloads = 5;
  std::atomic<bool> serving = false;
  std::atomic<int> reloaded = 0;
  SupervisorOptions options;
  options.on_serving = [&] { serving = true; };
  options.on_reloaded = [&](bool done) { reloaded += done ? 1 : 0; };
  auto supervisor = Make(std::move(options));
  const Address address = supervisor->addresses()[0];
  std::thread user([&] {
    while (!serving) std::this_thread::yield();
    for (int i = 0; i < kReloads; ++i) {
      supervisor->Reload();
      while (reloaded <= i) EXPECT_TRUE(Answered(Ask(address)));
    }
    supervisor->Stop();
  });
  EXPECT_TRUE(supervisor->Run().ok());
  user.join();
  EXPECT_EQ(reloaded, kReloads);
  EXPECT_EQ(loads, 1 + kReloads);
}

TEST_P(ProcessSupervisorTest, AKilledWorkerIsReplacedAndItsQueueServed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (int round = 0; round < 5; ++round) {
    const std::vector<pid_t> workers = server.Workers();
    ASSERT_FALSE(workers.empty());
    ASSERT_EQ(::kill(workers[static_cast<size_t>(round) % workers.size()], SIGKILL), 0);
    ASSERT_THAT(server.WaitForLine("died"), HasSubstr("signal 9 (SIGKILL)"));
    ExpectAllServed(40);
    ASSERT_NE(server.WaitForLine("is serving"), "");
    ExpectAllServed(10);
  }
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

// Every worker holds every socket: the last to drain, long after those who accepted from it, serves
// who has come meanwhile.
TEST_P(ProcessSupervisorTest, WhoComesWhileOneWorkerIsLateToDrainIsServed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  server.script().blocks = true;
  Fd busy = Dial(server.address());
  ASSERT_TRUE(SendAll(busy.get(), "busy"));
  while (server.script().hangs == 0) ::usleep(1000);
  server.Signal(SIGTERM);
  while (server.Workers().size() > 1) ::usleep(1000);
  std::vector<Fd> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(Dial(server.address()));
  server.script().blocks = false;
  EXPECT_EQ(ReceiveExactly(busy.get(), 4), "busy");
  busy.Reset();
  for (Fd& client : clients) {
    ASSERT_TRUE(SendAll(client.get(), "late"));
    EXPECT_EQ(ReceiveExactly(client.get(), 4), "late");
    client.Reset();
  }
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(ProcessSupervisorTest, AWorkerThatIsAskedToLeaveIsReplacedAndDrains) {
  server.script().ignores_drain = true;
  options.drain_timeout = 2s;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<Fd> kept;
  for (int i = 0; i < 8; ++i) kept.push_back(Dial(server.address()));
  for (const Fd& one : kept) ASSERT_TRUE(SendAll(one.get(), "a"));
  for (const Fd& one : kept) ASSERT_EQ(ReceiveExactly(one.get(), 1), "a");
  const pid_t asked = server.Workers().front();
  ASSERT_EQ(::kill(asked, SIGTERM), 0);
  ASSERT_NE(server.WaitForLine("was asked to leave"), "");
  for (const Fd& one : kept) ASSERT_TRUE(SendAll(one.get(), "b"));
  for (const Fd& one : kept) ASSERT_EQ(ReceiveExactly(one.get(), 1), "b");
  ExpectAllServed(40);
  ASSERT_NE(server.WaitForLine("is serving"), "");
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(ProcessSupervisorTest, WhereOneWorkerCannotStartTheOthersServe) {
  server.script().failing_worker = 1;
  ASSERT_NO_FATAL_FAILURE(Start());
  ExpectAllServed(60);
  EXPECT_THAT(server.WaitForLine("is given up"), HasSubstr("worker 1"));
  ExpectAllServed(60);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(ProcessSupervisorTest, WhereNoneCanStartItEndsAndSaysSo) {
  ASSERT_NO_FATAL_FAILURE(Start());
  server.script().failing_worker = -2;
  for (const pid_t worker : server.Workers()) ::kill(worker, SIGKILL);
  EXPECT_NE(server.WaitForLine("giving up: no worker could be started"), "");
  EXPECT_EQ(server.WaitForExit(), 1);
}

TEST_P(ProcessSupervisorTest, AWorkerThatHangsOrCrashesBeforeItIsReadyRefusesTheReload) {
  ASSERT_NO_FATAL_FAILURE(Start(/*start_timeout=*/500ms));
  server.script().hanging_worker = 1;
  server.Signal(SIGHUP);
  EXPECT_THAT(server.WaitForLine("reload refused"), HasSubstr("was not ready in time"));
  server.script().hanging_worker = -1;
  server.script().crashing_worker = 0;
  server.Signal(SIGHUP);
  EXPECT_THAT(server.WaitForLine("reload refused"), HasSubstr("SIGABRT"));
  ExpectAllServed(40);
  EXPECT_EQ(server.Workers().size(), 2U);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

// Out of descriptors at one step of a worker's start after another.
TEST_P(ProcessSupervisorTest, AWorkerThatCannotStartSaysWhy) {
  constexpr int kMaxDescriptors = 100;  // far more than it takes
  ASSERT_NO_FATAL_FAILURE(Start());
  int refused = 0;
  for (int left = 0; left < kMaxDescriptors; ++left) {
    server.script().worker_descriptors_left = left;
    server.Signal(SIGHUP);
    const std::string line = server.WaitForLine("reload");
    ASSERT_NE(line, "");
    if (line.find("reloaded") != std::string::npos) break;
    ++refused;
    EXPECT_THAT(line, HasSubstr("(exit code 1)")) << "no reason is given";
  }
  EXPECT_GT(refused, 1);
  EXPECT_LT(refused, kMaxDescriptors);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
}

TEST_P(ProcessSupervisorTest, SignalsDuringAReload) {
  ASSERT_NO_FATAL_FAILURE(Start());
  // The first is held until the second and third have come.
  server.script().hanging_worker = 1;
  server.Signal(SIGHUP);
  while (server.Workers().size() < 4) ::usleep(1000);
  server.Signal(SIGHUP);
  server.Signal(SIGHUP);
  server.Signal(SIGUSR2);
  EXPECT_NE(server.WaitForLine("no successor is started"), "");
  server.script().hanging_worker = -1;
  EXPECT_NE(server.WaitForLine("reloaded"), "");
  EXPECT_NE(server.WaitForLine("reloaded"), "") << "those that came meanwhile were forgotten";
  ExpectAllServed(20);
  server.script().hanging_worker = 1;
  server.Signal(SIGHUP);
  while (server.Workers().size() < 4) ::usleep(1000);
  const std::vector<pid_t> all = server.Workers();
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(), 0);
  for (const pid_t worker : all) EXPECT_EQ(::kill(worker, 0), -1) << "a worker is left";
}

TEST_P(ProcessSupervisorTest, WorkersDoNotOutliveTheirSupervisor) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::vector<pid_t> workers = server.Workers();
  server.Signal(SIGKILL);
  EXPECT_EQ(server.WaitForExit(), -1);
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  const auto alive = [](pid_t worker) {
    // A zombie that nobody waits for yet is no longer alive.
    std::ifstream file("/proc/" + std::to_string(worker) + "/stat");
    std::string stat;
    std::getline(file, stat);
    const size_t name_end = stat.rfind(')');
    return name_end != std::string::npos && stat[name_end + 2] != 'Z';
  };
  while (std::any_of(workers.begin(), workers.end(), alive)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    ::usleep(1000);
  }
}

}  // namespace
}  // namespace quintet::testing
