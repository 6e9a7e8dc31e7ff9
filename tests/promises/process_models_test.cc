// Promise 27: the process models leave no zombie and no orphan, leak no descriptor, and survive
// EINTR, storms of SIGCHLD and children that die. (Caps: net/models/fork_test; a fork(2) that
// fails: promises/process_limits_test.)
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

class ProcessModelsTest : public DescriptorLeakTest,
                          public ::testing::WithParamInterface<ServedKind> {};
INSTANTIATE_TEST_SUITE_P(
    All, ProcessModelsTest,
    ::testing::Values(ServedKind{.model = ServerModel::kFork},
                      ServedKind{.model = ServerModel::kPrefork},
                      ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kSelect},
                      ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kPoll},
                      ServedKind{.model = ServerModel::kPrefork, .accept = PreforkAccept::kEpoll},
                      ServedKind{.model = ServerModel::kPrefork,
                                 .accept = PreforkAccept::kReusePort}),
    ServedKindName);

using KindsByProcess = std::map<pid_t, std::map<std::string, int>>;

// Of a server without connections, and of each of its workers.
KindsByProcess DescriptorsOf(const Served& served) {
  KindsByProcess kinds = {{served.pid(), DescriptorKinds(served.pid())}};
  for (const pid_t child : LivingChildrenOf(served.pid())) kinds[child] = DescriptorKinds(child);
  return kinds;
}

TEST_P(ProcessModelsTest, TenThousandConnectionsLeaveNothingBehind) {
  ScriptedFactory sessions(IncrementScript());
  Served served(GetParam(), sessions);
  served.Increment(10);
  const auto quiet = [&] {
    return ZombiesOf(served.pid()).empty() && served.Stats().active == 0 &&
           served.Stats().workers == LivingChildrenOf(served.pid()).size();
  };
  ASSERT_TRUE(Eventually(quiet));
  const KindsByProcess descriptors = DescriptorsOf(served);
  EXPECT_EQ(descriptors.size(), GetParam().model == ServerModel::kFork ? 1U : 5U);
  const int connections = Scaled(10'000);
  served.Increment(connections);
  ASSERT_TRUE(Eventually(quiet));
  const ModelStats stats = served.Stats();
  EXPECT_EQ(stats.accepted, static_cast<uint64_t>(connections) + 10);
  EXPECT_EQ(stats.crashed, 0U);
  EXPECT_EQ(stats.refused, 0U);
  EXPECT_EQ(DescriptorsOf(served), descriptors) << "of the parent, or of the workers, by process";
  if (GetParam().model == ServerModel::kFork) {
    EXPECT_TRUE(Eventually([&] { return ChildrenOf(served.pid()).empty(); }));
  }
  served.Stop();
  EXPECT_TRUE(served.Join());
}

// What a child has open: what its parent has, less the sockets that listen for others, and its
// connection.
TEST_P(ProcessModelsTest, ChildrenHaveWhatTheyNeed) {
  ScriptedFactory sessions(EchoScript());
  Served served(GetParam(), sessions);
  std::vector<Fd> clients;
  const bool own_sockets = GetParam().accept == PreforkAccept::kReusePort;
  // With sockets of their own two may come to one worker, and the second would wait.
  for (int i = 0; i < (own_sockets ? 1 : 3); ++i) {
    clients.push_back(served.Connect());
    ASSERT_TRUE(Echoes(clients.back()));
  }
  const int listening = GetParam().model == ServerModel::kFork ? 0 : 1;
  EXPECT_TRUE(Eventually([&] {
    return DescriptorKinds(served.pid())["socket"] == (own_sockets ? 4 : 1);
  })) << "a connection is open in the parent";
  // Those who start close what is the others' first.
  std::string counts;
  EXPECT_TRUE(Eventually([&] {
    counts.clear();
    size_t connected = 0;
    for (const pid_t child : LivingChildrenOf(served.pid())) {
      const int connections = DescriptorKinds(child)["socket"] - listening;
      counts += std::to_string(connections) + " ";
      if (connections != 0 && connections != 1) return false;
      connected += static_cast<size_t>(connections);
    }
    return connected == clients.size();
  })) << "connections of the children: "
      << counts;
}

// What sessions start is given nothing of the server's: sockets, eventfds, epoll sets.
TEST_P(ProcessModelsTest, DescriptorsAreCloseOnExec) {
  const std::map<int, std::string> inherited = OpenDescriptors();
  ScriptedFactory sessions(EchoScript());
  Served served(GetParam(), sessions);
  const Fd client = served.Connect();
  ASSERT_TRUE(Echoes(client));
  std::vector<pid_t> processes = LivingChildrenOf(served.pid());
  ASSERT_FALSE(processes.empty());
  processes.push_back(served.pid());
  size_t looked_at = 0;
  for (const pid_t pid : processes) {
    for (const auto& [fd, target] : OpenDescriptors(pid)) {
      const auto before = inherited.find(fd);
      if (before != inherited.end() && before->second == target) continue;
      // "flags:" are those of open(2), in octal (proc(5)).
      std::ifstream info("/proc/" + std::to_string(pid) + "/fdinfo/" + std::to_string(fd));
      unsigned flags = 0;
      for (std::string line; std::getline(info, line);) {
        if (line.starts_with("flags:"))
          flags = static_cast<unsigned>(std::stoul(line.substr(6), nullptr, 8));
      }
      EXPECT_TRUE((flags & O_CLOEXEC) != 0) << target << " of process " << pid;
      ++looked_at;
    }
  }
  // A listening socket and a connection, and what wakes the processes.
  EXPECT_GE(looked_at, 6U);
}

TEST_P(ProcessModelsTest, NoOrphanWhenTheParentIsKilled) {
  // Who loses its parent becomes this process's child, so that its end can be seen.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  // Sessions that nothing but a signal ends.
  ScriptedFactory sessions({.on_data = [](ScriptedSession&, std::string_view) -> size_t {
    for (;;) ::pause();
  }});
  std::vector<pid_t> orphans;
  {
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.loop.backend.log = nullptr;
    ModelOptions model;
    model.model = GetParam().model;
    model.prefork_accept = GetParam().accept;
    auto server = ModelServer::Create(model, options, sessions);
    ASSERT_TRUE(server.ok()) << server.status();
    ForkedProcess parent([&] { return (*server)->Run().ok() ? 0 : 1; });
    std::vector<Fd> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
      const Address& address = (*server)->addresses()[0];
      ASSERT_TRUE(Connect(clients.back().get(), address.data(), address.size()));
      ASSERT_TRUE(SendAll(clients.back().get(), "x"));
    }
    // With SO_REUSEPORT several may have come to one worker.
    ASSERT_TRUE(Eventually([&] {
      return LivingChildrenOf(parent.pid()).size() >= 3 && (*server)->Stats().active >= 1;
    }));
    orphans = LivingChildrenOf(parent.pid());
    parent.Signal(SIGKILL);
    EXPECT_EQ(parent.Wait(), 128 + SIGKILL);
  }
  for (const pid_t orphan : orphans) {
    int status = 0;
    pid_t waited = 0;
    ASSERT_TRUE(Eventually([&] {
      waited = ::waitpid(orphan, &status, WNOHANG);
      return waited != 0;
    })) << "a child survived its parent";
    EXPECT_EQ(waited, orphan);
    // One that had not begun when its parent died has seen so, and ended by itself.
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    EXPECT_TRUE(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
  }
  EXPECT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

// A session that never returns does not keep the server from its end.
TEST_P(ProcessModelsTest, AChildThatHangsIsKilledWhenTheDrainIsOver) {
  ScriptedFactory sessions({.on_data = [](ScriptedSession&, std::string_view) -> size_t {
    for (;;) ::pause();
  }});
  // Of a busy machine. The time that it should be is that of KillTimer, and a tenth of this.
  constexpr Duration kGenerous = 15s;
  for (const Duration drain_timeout : {Duration(100ms), Duration::zero()}) {
    ServerOptions options;
    options.drain_timeout = drain_timeout;
    Served served(GetParam(), sessions, options);
    const Fd client = served.Connect();
    ASSERT_TRUE(SendAll(client.get(), "x"));
    ASSERT_TRUE(Eventually([&] { return served.Stats().bytes_in == 1; }));
    const auto begun = std::chrono::steady_clock::now();
    served.Stop();
    EXPECT_TRUE(served.Join());
    EXPECT_LT(std::chrono::steady_clock::now() - begun, drain_timeout + kGenerous);
    EXPECT_EQ(served.Stats().workers, 0U);
    // Idle workers have half a second only where there is no time at all.
    EXPECT_GE(served.Stats().crashed, 1U);
    if (drain_timeout > Duration::zero()) {
      EXPECT_EQ(served.Stats().crashed, 1U);
    }
    EXPECT_EQ(served.Stats().active, 0U);
  }
}

// The signal of a terminal goes to the children, too. The parent tells them what it means.
TEST_P(ProcessModelsTest, InterruptFromTheTerminalDrains) {
  ScriptedFactory sessions({.on_open = [](ScriptedSession& s) { s.transport().Write("open"); },
                            .on_drain =
                                [](ScriptedSession& session) {
                                  session.transport().Write("goodbye");
                                  session.transport().Close();
                                }});
  for (const int signo : {SIGINT, SIGTERM}) {
    Served served(GetParam(), sessions);
    const Fd client = served.Connect();
    EXPECT_EQ(ReceiveExactly(client.get(), 4), "open");
    const std::vector<pid_t> children = LivingChildrenOf(served.pid());
    ASSERT_FALSE(children.empty());
    for (const pid_t child : children) ::kill(child, signo);
    ::kill(served.pid(), signo);
    int error = 0;
    EXPECT_EQ(ReceiveToEnd(client.get(), &error), "goodbye");
    EXPECT_EQ(error, 0);
    ::shutdown(client.get(), SHUT_WR);
    EXPECT_TRUE(served.Join());
    EXPECT_EQ(served.Stats().crashed, 0U);
  }
}

TEST_P(ProcessModelsTest, AChildThatIsKilledHarmsItsOwnConnectionOnly) {
  ScriptedFactory sessions({.on_data = [](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write(std::to_string(::getpid()) + "\n");
    return bytes.size();
  }});
  Served served(GetParam(), sessions);
  const auto ask = [](const Fd& client) {
    std::string pid;
    EXPECT_TRUE(SendAll(client.get(), "?"));
    for (std::string c; (c = ReceiveExactly(client.get(), 1)) != "\n" && !c.empty();) pid += c;
    return pid;
  };
  const Fd victim = served.Connect();
  const std::string pid = ask(victim);
  ASSERT_NE(pid, "");
  // With SO_REUSEPORT a connection may have come to the victim's queue; it will be served later.
  Fd other = served.Connect();
  if (GetParam().accept != PreforkAccept::kReusePort) {
    ASSERT_NE(ask(other), pid);
  }
  ASSERT_EQ(::kill(std::stoi(pid), SIGKILL), 0);
  EXPECT_EQ(ReceiveToEnd(victim.get()), "");
  EXPECT_NE(ask(other), "");
  ASSERT_TRUE(Eventually([&] { return served.Stats().crashed == 1; }));
  EXPECT_TRUE(Eventually([&] { return served.Stats().active == 1; }));
  if (GetParam().model == ServerModel::kPrefork) {
    EXPECT_TRUE(Eventually([&] { return LivingChildrenOf(served.pid()).size() == 4; }))
        << "nobody has taken its place";
  }
  EXPECT_TRUE(ZombiesOf(served.pid()).empty());
}

// Signals from outside at any rate: none of them ends a call for good, and none is mistaken.
TEST_P(ProcessModelsTest, SurvivesEintrAndAStormOfSigchld) {
  ScriptedFactory sessions(IncrementScript());
  Served served(GetParam(), sessions);
  served.Increment(1);
  // Those of kFork come and go: a number might be another's by now.
  std::vector<pid_t> children;
  if (GetParam().model == ServerModel::kPrefork) children = LivingChildrenOf(served.pid());
  std::atomic<bool> over = false;
  std::thread storm([&] {
    while (!over) {
      ::kill(served.pid(), SIGCHLD);
      for (const pid_t child : children) ::kill(child, SIGTERM);  // does nothing to them
      std::this_thread::yield();
    }
  });
  served.Increment(Scaled(1000));
  over = true;
  storm.join();
  EXPECT_TRUE(
      Eventually([&] { return ZombiesOf(served.pid()).empty() && served.Stats().active == 0; }));
  EXPECT_EQ(served.Stats().crashed, 0U);
  EXPECT_EQ(served.Stats().refused, 0U);
}

}  // namespace
}  // namespace quintet::testing
