// The processes that a server forks, and its manners towards the program around.
#include "net/models/children.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reactor/signal_set.h"
#include "reactor/sim/sim_clock.h"
#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/in_child.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"

namespace quintet::testing {
namespace {

class ChildrenTest : public DescriptorLeakTest {
 protected:
  ChildrenTest() { children = *Children::Create(clock); }
  void TearDown() override {
    children.reset();
    EXPECT_TRUE(ChildrenOf(::getpid()).empty());
    DescriptorLeakTest::TearDown();
  }
  void Reap() {
    children->Reap([this](pid_t pid, int status) { ended[pid] = status; });
  }
  // One that lives until it is killed.
  pid_t StartSleeper() {
    return children->Start([] {
      for (;;) ::pause();
      return 0;
    });
  }

  SimClock clock;
  std::unique_ptr<Children> children;
  std::map<pid_t, int> ended;
};

TEST_F(ChildrenTest, TellsHowEachHasEnded) {
  const pid_t good = children->Start([] { return 0; });
  const pid_t bad = children->Start([] { return 7; });
  const pid_t killed = StartSleeper();
  ::kill(killed, SIGKILL);
  EXPECT_TRUE(Eventually([&] {
    Reap();
    return children->size() == 0;
  }));
  EXPECT_EQ(ended[good], 0);
  EXPECT_EQ(WEXITSTATUS(ended[bad]), 7);
  EXPECT_EQ(WTERMSIG(ended[killed]), SIGKILL);
  EXPECT_EQ(children->next(), kNever);
}

// The program around has waited for "any child", and while others end all the time nobody would ask
// for the one that is missing.
TEST_F(ChildrenTest, OneThatSomebodyElseHasReapedIsMissedInTime) {
  const pid_t lost = StartSleeper();
  Reap();
  ::kill(lost, SIGKILL);
  ASSERT_EQ(::waitpid(lost, nullptr, 0), lost);
  const auto one_more_ends = [&] {
    const pid_t other = children->Start([] { return 0; });
    ASSERT_TRUE(Eventually([&] {
      siginfo_t info{};
      return ::waitid(P_PID, static_cast<id_t>(other), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
             info.si_pid == other;
    }));
    Reap();
    EXPECT_TRUE(ended.contains(other));
  };
  one_more_ends();
  ASSERT_LE(children->next(), clock.Now() + Children::kPeriod);
  clock.AdvanceTo(children->next());
  one_more_ends();
  EXPECT_TRUE(ended.contains(lost));
  EXPECT_EQ(ended[lost], 0);
  EXPECT_EQ(children->size(), 0U);
}

// A copy of this object in another process has nothing but numbers of strangers.
TEST_F(ChildrenTest, KillsNobodyWhoIsNoChildOfThisProcess) {
  const HighPipe ready;
  const pid_t child = children->Start([&ready] {
    const sigset_t both = SignalSet({SIGUSR1, SIGUSR2});
    ::pthread_sigmask(SIG_BLOCK, &both, nullptr);
    ready.WriteLine("ready");
    const sigset_t last = SignalSet({SIGUSR2});
    while (::sigwaitinfo(&last, nullptr) != SIGUSR2) {
    }
    sigset_t pending;
    ::sigpending(&pending);
    return sigismember(&pending, SIGUSR1);
  });
  EXPECT_EQ(ready.ReadLine(), "ready");
  EXPECT_EQ(InChild([this] {
              children->Kill(SIGUSR1);
              return std::string("done");
            }),
            "done");
  children->Kill(SIGUSR2);
  EXPECT_TRUE(Eventually([&] {
    Reap();
    return children->size() == 0;
  }));
  EXPECT_EQ(WEXITSTATUS(ended[child]), 0) << "a stranger was hit";
}

// A parent that takes its signals by sigwaitinfo(2) or signalfd(2) blocks them. What a child starts
// would have them blocked, too, and could not be ended by them.
TEST(ChildrenOfAThreadTest, BeginWithoutTheBlockedSignalsOfTheParent) {
  EXPECT_EQ(
      InChild([]() -> std::string {
        const sigset_t taken = SignalSet({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGWINCH});
        ::pthread_sigmask(SIG_BLOCK, &taken, nullptr);
        SimClock clock;
        const auto children = *Children::Create(clock);
        const pid_t child = children->Start([] {
          sigset_t mask;
          ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
          int blocked = 0;
          for (const int signo : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
            blocked += sigismember(&mask, signo);
          }
          // They are for the parent all the same.
          for (const int signo : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1}) ::raise(signo);
          return blocked * 10 + sigismember(&mask, SIGWINCH);
        });
        int status = 0;
        ::waitpid(child, &status, 0);
        return absl::StrCat(status, " ", WEXITSTATUS(status));
      }),
      "256 1");
}

TEST(ChildrenOfAThreadTest, OtherSignalsAreAsTheyWere) {
  EXPECT_EQ(InChild([]() -> std::string {
              SimClock clock;
              const auto children = *Children::Create(clock);
              const pid_t child = children->Start([] {
                ::raise(SIGUSR1);
                return 0;
              });
              int status = 0;
              ::waitpid(child, &status, 0);
              return absl::StrCat(WIFSIGNALED(status), " ", WTERMSIG(status));
            }),
            absl::StrCat("1 ", SIGUSR1));
}

// The embedding program has children and signal handlers of its own.
class ProgramAroundTest : public ::testing::TestWithParam<ServerModel> {};
INSTANTIATE_TEST_SUITE_P(All, ProgramAroundTest,
                         ::testing::Values(ServerModel::kFork, ServerModel::kPrefork),
                         [](const auto& kind) { return std::string(ServerModelName(kind.param)); });

std::atomic<int> own_handler_calls = 0;

TEST_P(ProgramAroundTest, LeavesTheChildrenOfOthersAlone) {
  const std::string said = InChild([model = GetParam()]() -> std::string {
    struct sigaction own = {};
    own.sa_handler = [](int) { ++own_handler_calls; };
    ::sigaction(SIGCHLD, &own, nullptr);
    ScriptedFactory sessions(IncrementScript());
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.loop.backend.log = nullptr;
    auto server = ModelServer::Create({.model = model}, options, sessions);
    const Address address = (*server)->addresses()[0];
    const pid_t own_child = ::fork();
    if (own_child == 0) ::_exit(42);
    // The clients, in another process: its end stops the server.
    const pid_t client = ::fork();
    if (client == 0) {
      int good = 0;
      for (int i = 0; i < 20; ++i) {
        const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!Connect(fd.get(), address.data(), address.size())) continue;
        if (SendAll(fd.get(), "A") && ReceiveToEnd(fd.get()) == "B") ++good;
      }
      (*server)->Stop();
      ::_exit(good);
    }
    const absl::Status status = (*server)->Run();
    int own_status = 0;
    int client_status = 0;
    const bool waited = ::waitpid(own_child, &own_status, 0) == own_child &&
                        ::waitpid(client, &client_status, 0) == client;
    struct sigaction after = {};
    ::sigaction(SIGCHLD, nullptr, &after);
    const ModelStats stats = (*server)->Stats();
    return absl::StrCat(status.ok(), " ", waited, " ", WEXITSTATUS(own_status), " ",
                        WEXITSTATUS(client_status), " ", after.sa_handler == own.sa_handler, " ",
                        own_handler_calls > 0, " ", stats.workers, " ", stats.accepted);
  });
  EXPECT_EQ(said, "1 1 42 20 1 1 0 20");
}

}  // namespace
}  // namespace quintet::testing
