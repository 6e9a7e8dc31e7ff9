#include "apps/program/daemon.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/program/standard_streams.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"

namespace quintet::program {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::HighPipe;

// Each test forks the process that a user would start; the daemons become children of the test,
// which waits for them.
class DaemonTest : public testing::DescriptorLeakTest {
 protected:
  void SetUp() override { ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); }

  void TearDown() override {
    // Lets daemons go that still wait.
    orders_.write.Reset();
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    orders_.read.Reset();
    reports_.read.Reset();
    reports_.write.Reset();
    DescriptorLeakTest::TearDown();
  }

  // What the started process does: becomes a daemon, and `body` goes on there.
  std::function<int()> Started(const std::function<int(DaemonParent)>& body) {
    return [this, body] {
      orders_.write.Reset();
      const std::vector<int> keep = {orders_.read.get(), reports_.write.get()};
      absl::StatusOr<DaemonParent> parent = Daemonize(keep);
      if (!parent.ok()) return 3;
      // Timers of alarm(2) are not inherited.
      alarm(testing::kChildPatienceSeconds);
      return body(*std::move(parent));
    };
  }

  static bool Runs(const ForkedProcess& process) {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOHANG | WNOWAIT) ==
               0 &&
           info.si_pid == 0;
  }

  HighPipe orders_;   // to the daemon
  HighPipe reports_;  // from it
};

TEST_F(DaemonTest, TheStartedProcessEndsWhenTheDaemonIsReady) {
  ForkedProcess started(Started([this](DaemonParent parent) {
    reports_.WriteLine("starting");
    orders_.ReadLine();
    reports_.WriteLine(parent.NotifyReady().ToString());
    orders_.ReadLine();
    reports_.WriteLine("serving");
    return 0;
  }));
  EXPECT_EQ(reports_.ReadLine(), "starting");
  EXPECT_TRUE(Runs(started));
  orders_.WriteLine("be ready");
  EXPECT_EQ(started.Wait(), 0);
  EXPECT_EQ(reports_.ReadLine(), "OK");
  // The daemon itself goes on.
  orders_.WriteLine("serve");
  EXPECT_EQ(reports_.ReadLine(), "serving");
}

TEST_F(DaemonTest, TheStartedProcessFailsWhenTheDaemonDoes) {
  for (const std::function<int(DaemonParent)>& body : std::vector<std::function<int(DaemonParent)>>{
           [](DaemonParent) { return 0; }, [](DaemonParent) { return raise(SIGKILL); },
           // Also where only the notifier goes.
           [this](DaemonParent parent) {
             { const DaemonParent gone(std::move(parent)); }
             orders_.ReadLine();
             return 0;
           }}) {
    ForkedProcess started(Started(body));
    EXPECT_EQ(started.Wait(), 1);
  }
}

TEST_F(DaemonTest, ADaemonOutlivesTheStartedProcess) {
  ForkedProcess started(Started([this](DaemonParent parent) {
    reports_.WriteLine("starting");
    orders_.ReadLine();
    // With the signal's default disposition.
    reports_.WriteLine(parent.NotifyReady().ToString());
    return 0;
  }));
  EXPECT_EQ(reports_.ReadLine(), "starting");
  started.Signal(SIGKILL);
  EXPECT_EQ(started.Wait(), 128 + SIGKILL);
  orders_.WriteLine("be ready");
  EXPECT_THAT(reports_.ReadLine(), HasSubstr("EPIPE"));
}

TEST_F(DaemonTest, ADaemonHasASessionWithoutTerminalThatItDoesNotLead) {
  ForkedProcess started(Started([this](DaemonParent parent) {
    reports_.WriteLine(getsid(0) == getpid() ? "leader" : "member");
    reports_.WriteLine(std::to_string(getsid(0)));
    const int terminal = open("/dev/tty", O_RDWR);
    reports_.WriteLine(terminal < 0 ? "no terminal" : "terminal");
    return parent.NotifyReady().ok() ? 0 : 1;
  }));
  EXPECT_EQ(reports_.ReadLine(), "member");
  EXPECT_NE(reports_.ReadLine(), std::to_string(getsid(0)));
  EXPECT_EQ(reports_.ReadLine(), "no terminal");
  EXPECT_EQ(started.Wait(), 0);
}

TEST_F(DaemonTest, WorkingDirectoryAndUmaskStay) {
  const mode_t mask = umask(0137);
  ForkedProcess started(Started([this](DaemonParent parent) {
    reports_.WriteLine(std::filesystem::current_path().string());
    reports_.WriteLine(std::to_string(umask(0)));
    return parent.NotifyReady().ok() ? 0 : 1;
  }));
  umask(mask);
  EXPECT_EQ(reports_.ReadLine(), std::filesystem::current_path().string());
  EXPECT_EQ(reports_.ReadLine(), std::to_string(0137));
  EXPECT_EQ(started.Wait(), 0);
}

TEST_F(DaemonTest, OnlyTheDescriptorsToKeepAreOpen) {
  const testing::Fd below(dup(orders_.read.get()));
  const testing::Fd above(fcntl(orders_.read.get(), F_DUPFD, 500));
  ForkedProcess started(Started([this](DaemonParent parent) {
    // Three streams, two to keep, and the one that the parent waits at.
    reports_.WriteLine(std::to_string(testing::OpenDescriptors().size()));
    return parent.NotifyReady().ok() ? 0 : 1;
  }));
  EXPECT_EQ(reports_.ReadLine(), "6");
  EXPECT_EQ(started.Wait(), 0);
}

TEST_F(DaemonTest, MessagesReachTheTerminalUntilTheStreamsAreDetached) {
  HighPipe terminal;
  ForkedProcess started([&] {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      dup2(terminal.write.get(), fd);
    }
    return Started([&](DaemonParent parent) {
      constexpr std::string_view kMessage = "a message\n";
      if (write(STDERR_FILENO, kMessage.data(), kMessage.size()) < 0) return 1;
      if (!parent.NotifyReady().ok()) return 1;
      if (!DetachStreams(StandardError::kDetach).ok()) return 1;
      reports_.WriteLine("detached");
      orders_.ReadLine();
      return 0;
    })();
  });
  terminal.write.Reset();
  EXPECT_EQ(terminal.ReadLine(), "a message");
  EXPECT_EQ(started.Wait(), 0);
  EXPECT_EQ(reports_.ReadLine(), "detached");
  // The daemon runs, and nobody holds the terminal: end of file.
  EXPECT_EQ(terminal.ReadLine(), "");
}

}  // namespace
}  // namespace quintet::program
