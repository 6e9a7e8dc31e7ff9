#include "net/successor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr Duration kPatience = 60s;

// Says who it is, and no more.
constexpr char kSaysItsId[] = "echo $$ >&$QUINTET_READY_FD; exec sleep 1000";
constexpr char kIsReady[] =
    "echo $$ >&$QUINTET_READY_FD; echo ready >&$QUINTET_READY_FD; exec sleep 1000";

class SuccessorTest : public DescriptorLeakTest {
 protected:
  void SetUp() override {
    // Successors become children of this process.
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    EventLoopOptions options;
    options.backend.kind = BackendKind::kPoll;
    auto loop = EventLoop::Create(options);
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    auto sockets = ListenSockets::Open({.addresses = {*Address::Parse("127.0.0.1:0")}});
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    sockets_ = *std::move(sockets);
  }
  void TearDown() override {
    successor.reset();
    sockets_.reset();
    loop_.reset();
    DescriptorLeakTest::TearDown();
  }

  void Start(const std::vector<std::string>& arguments) {
    auto started = Successor::Start(
        *loop_, arguments, *sockets_, {},
        {.on_ready = [this](pid_t pid) { ready = pid; }, .on_failed = [this] { failed = true; }});
    ASSERT_TRUE(started.ok()) << started.status();
    successor = *std::move(started);
  }
  // `script` in a shell.
  void StartShell(const std::string& script) { Start({"/bin/sh", "-c", script}); }
  // The same, by a shell that is another process, and waits for its end.
  void StartWrapped(const std::string& script) { StartShell("/bin/sh -c '" + script + "' & wait"); }

  [[nodiscard]] bool RunUntil(const std::function<bool()>& done) {
    const auto deadline = steady_clock::now() + kPatience;
    while (!done()) {
      if (steady_clock::now() > deadline) return false;
      loop_->RunOnce(100ms);
    }
    return true;
  }
  // Waits for the end of a process: its exit code, or 128 and the number of the signal.
  static int EndOf(pid_t pid) {
    const auto deadline = steady_clock::now() + kPatience;
    int status = 0;
    // ECHILD until its parent has ended.
    while (::waitpid(pid, &status, WNOHANG) != pid) {
      if (steady_clock::now() > deadline) return -1;
      ::usleep(1000);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  EventLoop& loop() { return *loop_; }

  std::unique_ptr<Successor> successor;
  pid_t ready = 0;
  bool failed = false;

 private:
  std::unique_ptr<EventLoop> loop_;
  std::shared_ptr<ListenSockets> sockets_;
};

TEST_F(SuccessorTest, IsKnownBeforeItSaysAnything) {
  ASSERT_NO_FATAL_FAILURE(StartShell("exec sleep 1000"));
  const pid_t pid = successor->pid();
  ASSERT_GT(pid, 0);
  successor->Kill(SIGKILL);
  EXPECT_EQ(EndOf(pid), 128 + SIGKILL);
  EXPECT_TRUE(RunUntil([this] { return failed; }));
  EXPECT_EQ(ready, 0);
}

TEST_F(SuccessorTest, EndsWithTheObject) {
  ASSERT_NO_FATAL_FAILURE(StartShell("exec sleep 1000"));
  const pid_t pid = successor->pid();
  successor.reset();
  EXPECT_EQ(EndOf(pid), 128 + SIGTERM);
}

TEST_F(SuccessorTest, StaysOnceItIsReady) {
  ASSERT_NO_FATAL_FAILURE(StartShell(kIsReady));
  const pid_t pid = successor->pid();
  EXPECT_TRUE(RunUntil([this] { return ready != 0; }));
  EXPECT_EQ(ready, pid);
  successor.reset();
  // Of two signals that end a process the first tells; a number above SIGTERM's is none that the
  // kernel would prefer.
  ASSERT_EQ(::kill(pid, SIGVTALRM), 0);
  EXPECT_EQ(EndOf(pid), 128 + SIGVTALRM);
  EXPECT_FALSE(failed);
}

TEST_F(SuccessorTest, IsWhoSaysSo) {
  ASSERT_NO_FATAL_FAILURE(StartWrapped(kIsReady));
  const pid_t wrapper = successor->pid();
  ASSERT_GT(wrapper, 0);
  ASSERT_TRUE(RunUntil([this] { return ready != 0; }));
  EXPECT_NE(ready, wrapper);
  EXPECT_EQ(successor->pid(), ready);
  ASSERT_EQ(::kill(ready, SIGKILL), 0);
  EXPECT_EQ(EndOf(wrapper), 0) << "the wrapper waits for it";
}

TEST_F(SuccessorTest, EndsWithItsWrapper) {
  ASSERT_NO_FATAL_FAILURE(StartWrapped(kSaysItsId));
  const pid_t wrapper = successor->pid();
  ASSERT_TRUE(RunUntil([&] { return successor->pid() != wrapper; }));
  const pid_t wrapped = successor->pid();
  successor.reset();
  EXPECT_EQ(EndOf(wrapper), 128 + SIGTERM);
  EXPECT_EQ(EndOf(wrapped), 128 + SIGTERM);
  EXPECT_EQ(ready, 0);
}

TEST_F(SuccessorTest, LearnsThatWorkersHaveLeft) {
  // The socket does not block.
  ASSERT_NO_FATAL_FAILURE(
      StartShell("echo $$ >&$QUINTET_READY_FD; echo ready >&$QUINTET_READY_FD; tries=0; "
                 "until read line <&$QUINTET_READY_FD; do "
                 "tries=$((tries + 1)); [ $tries -gt 6000 ] && exit 8; sleep 0.01; done; exit 7"));
  ASSERT_TRUE(RunUntil([this] { return ready != 0; }));
  successor->TellLeft();
  EXPECT_EQ(EndOf(ready), 7);
}

TEST_F(SuccessorTest, ReportsAndIsTold) {
  SocketPair pair = MakeUnixPair();
  // Which closes it.
  const std::string fd = std::to_string(pair.ours.Release());
  ASSERT_EQ(::setenv("QUINTET_READY_FD", fd.c_str(), 1), 0);
  auto report = SuccessorReport::TakeFromEnvironment();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(::getenv("QUINTET_READY_FD"), nullptr);
  ASSERT_TRUE(report->valid());
  const std::string pid = std::to_string(::getpid()) + "\n";
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), pid.size()), pid);
  int told = 0;
  ASSERT_TRUE(report->Ready(loop(), [&told] { ++told; }).ok());
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), 6), "ready\n");
  loop().RunOnce(0ms);
  EXPECT_EQ(told, 0);
  ASSERT_TRUE(SendAll(pair.peer.get(), "\n"));
  ASSERT_TRUE(RunUntil([&] { return told == 1; }));
  ASSERT_EQ(::shutdown(pair.peer.get(), SHUT_RDWR), 0);
  ASSERT_TRUE(RunUntil([&] { return told == 2; }));
  EXPECT_FALSE(report->valid());
  loop().RunOnce(0ms);
  EXPECT_EQ(told, 2);
}

TEST_F(SuccessorTest, HasFailedWhereItCannotBeExecuted) {
  ASSERT_NO_FATAL_FAILURE(Start({"/nonexistent/program"}));
  const pid_t pid = successor->pid();
  EXPECT_TRUE(RunUntil([this] { return failed; }));
  EXPECT_EQ(EndOf(pid), 127);
}

}  // namespace
}  // namespace quintet::testing
