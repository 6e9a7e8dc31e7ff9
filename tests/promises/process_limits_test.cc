// Promises 27 and 28: a process or a thread that cannot be made costs one client, not the server.
#include <errno.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "net/restart_policy.h"
#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/in_child.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

// As a user without rights, of whom there is nobody else: RLIMIT_NPROC binds no others
// (getrlimit(2)).
[[nodiscard]] bool BecomeNobody(rlim_t processes) {
  const uid_t nobody_else = 100'000 + static_cast<uid_t>(::getpid());
  const rlimit limit{.rlim_cur = processes, .rlim_max = 1000};
  return ::setgroups(0, nullptr) == 0 && ::setresgid(nobody_else, nobody_else, nobody_else) == 0 &&
         ::setresuid(nobody_else, nobody_else, nobody_else) == 0 &&
         ::setrlimit(RLIMIT_NPROC, &limit) == 0;
}

bool MayBecomeNobody() { return ::geteuid() == 0; }

Fd Dial(const Address& address) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SetTimeouts(fd.get(), kPeerTimeout);
  if (!Connect(fd.get(), address.data(), address.size())) fd.Reset();
  return fd;
}

class NoMoreProcessesTest : public ::testing::TestWithParam<ServerModel> {};
INSTANTIATE_TEST_SUITE_P(All, NoMoreProcessesTest,
                         ::testing::Values(ServerModel::kFork, ServerModel::kThread),
                         [](const auto& kind) { return std::string(ServerModelName(kind.param)); });

TEST_P(NoMoreProcessesTest, OneClientIsRefusedAndTheServerGoesOn) {
  if (!MayBecomeNobody()) GTEST_SKIP() << "the limit does not bind this user";
  if (kThreadSanitizer) GTEST_SKIP() << "TSan has a thread of its own";
  ScriptedFactory sessions(EchoScript());
  ServerOptions options;
  options.addresses = {*Address::Parse("127.0.0.1:0")};
  options.loop.backend.log = nullptr;
  auto server = ModelServer::Create({.model = GetParam()}, options, sessions);
  ASSERT_TRUE(server.ok()) << server.status();
  ForkedProcess runs([&] {
    // Itself, and one more.
    if (!BecomeNobody(2)) return 3;
    return (*server)->Run().ok() ? 0 : 1;
  });
  const Address& address = (*server)->addresses()[0];
  Fd first = Dial(address);
  EXPECT_TRUE(Echoes(first));
  for (int i = 0; i < 3; ++i) {
    int error = 0;
    EXPECT_EQ(ReceiveToEnd(Dial(address).get(), &error), "");
    EXPECT_EQ(error, ECONNRESET);
  }
  EXPECT_EQ((*server)->Stats().start_failures, 3U);
  EXPECT_TRUE(Echoes(first)) << "the first is as well as before";
  first.Reset();
  EXPECT_TRUE(Eventually([&] { return Echoes(Dial(address)); }));
  const ModelStats stats = (*server)->Stats();
  EXPECT_EQ(stats.refused, stats.start_failures);
  EXPECT_EQ(stats.refused_at_cap, 0U);
  (*server)->Stop();
  EXPECT_EQ(runs.Wait(), 0);
}

TEST(NoProcessAtAllTest, IsAnErrorOfThePrefork) {
  if (!MayBecomeNobody()) GTEST_SKIP() << "the limit does not bind this user";
  if (kThreadSanitizer) GTEST_SKIP() << "TSan has a thread of its own";
  ScriptedFactory sessions(EchoScript());
  ServerOptions options;
  options.addresses = {*Address::Parse("127.0.0.1:0")};
  options.loop.backend.log = nullptr;
  ModelOptions model{.model = ServerModel::kPrefork};
  model.min_workers = model.max_workers = 1;
  auto server = ModelServer::Create(model, options, sessions);
  ASSERT_TRUE(server.ok()) << server.status();
  ForkedProcess runs([&] {
    if (!BecomeNobody(1)) return 3;
    return absl::IsResourceExhausted((*server)->Run()) ? 7 : 1;
  });
  EXPECT_EQ(runs.Wait(), 7);
  EXPECT_GT((*server)->Stats().start_failures, 1U);
}

void Allow(rlim_t processes) {
  const rlimit limit{.rlim_cur = processes, .rlim_max = 1000};
  ::setrlimit(RLIMIT_NPROC, &limit);
}

// The workers die when the system has no process to spare, for longer than the patience of
// RestartPolicy: the server stays, its clients wait, and it serves again when there are processes.
TEST(NoProcessAnyMoreTest, ThePreforkGoesOnTrying) {
  if (!MayBecomeNobody()) GTEST_SKIP() << "the limit does not bind this user";
  if (kThreadSanitizer) GTEST_SKIP() << "TSan has a thread of its own";
  ScriptedFactory sessions(EchoScript());
  ServerOptions options;
  options.addresses = {*Address::Parse("127.0.0.1:0")};
  options.loop.backend.log = nullptr;
  ModelOptions model{.model = ServerModel::kPrefork};
  model.min_workers = model.max_workers = 1;
  auto server = ModelServer::Create(model, options, sessions);
  ASSERT_TRUE(server.ok()) << server.status();
  ForkedProcess runs([&] {
    // To change the limit of another process takes rights that root may not have.
    ::signal(SIGUSR1, [](int) { Allow(1); });
    ::signal(SIGUSR2, [](int) { Allow(2); });
    if (!BecomeNobody(2)) return 3;
    return (*server)->Run().ok() ? 0 : 1;
  });
  const Address& address = (*server)->addresses()[0];
  ASSERT_TRUE(Echoes(Dial(address)));
  runs.Signal(SIGUSR1);
  const std::vector<pid_t> workers = LivingChildrenOf(runs.pid());
  ASSERT_EQ(workers.size(), 1U);
  ASSERT_EQ(::kill(workers.front(), SIGKILL), 0);
  ASSERT_TRUE(Eventually(
      [&] { return (*server)->Stats().start_failures >= RestartPolicy::kMaxFailedStarts; }));
  const Fd waits = Dial(address);
  EXPECT_TRUE(waits) << "nobody listens any more";
  runs.Signal(SIGUSR2);
  EXPECT_TRUE(Echoes(waits));
  (*server)->Stop();
  EXPECT_EQ(runs.Wait(), 0);
}

}  // namespace
}  // namespace quintet::testing
