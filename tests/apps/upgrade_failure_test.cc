// Upgrades by SIGUSR2 that fail, or are cut short: the old program goes on, and nobody is left
// over.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/listener.h"
#include "tests/apps/operations_fixture.h"
#include "tests/support/process_info.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

constexpr int kWorkers = 2;
constexpr char kStarting[] = "hello: starting a successor";

// Which configuration a successor finds, and when, is up to the test.
class UpgradeFailureTest : public OperationsTest {
 protected:
  void SetUp() override {
    Write(Named("good"));
    OperationsTest::SetUp();
  }
  void TearDown() override {
    gate_.Reset();
    OperationsTest::TearDown();
  }

  std::string config() const { return directory_ / "hello.toml"; }
  std::string socket_path() const { return directory_ / "hello.sock"; }
  static std::string Named(const std::string& server_name) {
    return absl::StrCat("[http]\nserver_name = \"", server_name, "\"\n");
  }
  static std::string Listening(const std::vector<std::string>& addresses) {
    return absl::StrCat("[listen]\naddresses = [\"", absl::StrJoin(addresses, "\", \""), "\"]\n");
  }
  // For the next program that starts.
  void Write(const std::string& text) const {
    std::filesystem::remove(config());
    WriteFile(config(), text);
  }

  // SIGUSR2. Returns the successor, which has said nothing yet and waits for its configuration; 0,
  // and the test has failed, when none comes.
  pid_t StartHeldSuccessor() {
    std::filesystem::remove(config());
    EXPECT_EQ(::mkfifo(config().c_str(), 0600), 0);
    hello().Signal(SIGUSR2);
    if (hello().WaitForLine(kStarting).empty()) return 0;
    // ENXIO until somebody reads (fifo(7)).
    EXPECT_TRUE(Eventually([this] {
      gate_.Reset(::open(config().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
      return static_cast<bool>(gate_);
    })) << "no successor reads its configuration";
    for (const pid_t child : LivingChildrenOf(::getpid())) {
      if (child != hello().pid()) return child;
    }
    ADD_FAILURE() << "there is no successor";
    return 0;
  }
  // Lets it have its configuration.
  void Release(const std::string& text) {
    ASSERT_EQ(::write(gate_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    gate_.Reset();
  }

 private:
  const ScratchDirectory directory_;
  Fd gate_;
};

INSTANTIATE_TEST_SUITE_P(Operations, UpgradeFailureTest,
                         ::testing::ValuesIn(EveryWorkerKind("reuseport", {BackendKind::kEpollEt,
                                                                           BackendKind::kIoUring})),
                         OperationName);

TEST_P(UpgradeFailureTest, ASuccessorThatCannotServeChangesNothing) {
  if (!Start(kWorkers, {"--config", config()})) return;
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));
  Write("[http]\nserver_nam = \"bad\"\n");
  hello().Signal(SIGUSR2);
  EXPECT_NE(hello().WaitForLine("has ended before it was ready"), "");
  ASSERT_TRUE(load.WaitForRequests(100));
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  ExpectCleanEnd();
}

// It has taken the sockets that it inherits when it fails.
TEST_P(UpgradeFailureTest, ASuccessorThatCannotServeLeavesTheFileOfAUnixSocket) {
  auto stranger = ListenOn(*Address::Parse("127.0.0.1:0"), {});
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  const std::string unix = "unix:" + socket_path();
  Write(Listening({unix}));
  listen.clear();
  if (!Start(kWorkers, {"--config", config(), "--drain-timeout", "60s"})) return;
  HttpLoad load(address(), {.connections = 16, .reconnecting = 8});
  ASSERT_TRUE(load.WaitForRequests(100));

  Write(Listening({unix, stranger->LocalAddress()->ToString()}));
  hello().Signal(SIGUSR2);
  EXPECT_NE(hello().WaitForLine("has ended before it was ready"), "");
  // Of two processes, in either order.
  EXPECT_TRUE(hello().WaitForLines("EADDRINUSE", 1));
  ASSERT_TRUE(std::filesystem::exists(socket_path()));
  ASSERT_TRUE(load.WaitForRequests(100));

  // And it can be put right.
  Write(Listening({unix}));
  const pid_t successor = Upgrade(hello().pid());
  ASSERT_GT(successor, 0);
  EXPECT_TRUE(std::filesystem::exists(socket_path()));
  ASSERT_TRUE(load.WaitForRequests(100));
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  ExpectCleanEndOf(successor);
  EXPECT_FALSE(std::filesystem::exists(socket_path()));
}

TEST_P(UpgradeFailureTest, ASecondSignalStartsNoSecondSuccessor) {
  if (!Start(kWorkers, {"--config", config(), "--drain-timeout", "60s"})) return;
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));
  const pid_t held = StartHeldSuccessor();
  ASSERT_GT(held, 0);
  hello().Signal(SIGUSR2);
  EXPECT_NE(hello().WaitForLine("no successor is started: one is being started already"), "");
  hello().Signal(SIGHUP);
  EXPECT_NE(hello().WaitForLine("reload refused: a successor is being started"), "");
  ASSERT_TRUE(load.WaitForRequests(100));
  Release(Named("better"));
  EXPECT_EQ(WaitForSuccessor(), held);
  EXPECT_EQ(hello().WaitForExit(), 0);
  ASSERT_TRUE(load.WaitForRequests(100));
  EXPECT_EQ(hello().CountLines(kStarting), 1U);
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  ExpectCleanEndOf(held);
}

TEST_P(UpgradeFailureTest, SigtermWhileASuccessorStartsEndsBoth) {
  if (!Start(kWorkers, {"--config", config()})) return;
  const pid_t held = StartHeldSuccessor();
  ASSERT_GT(held, 0);
  ExpectCleanEnd();
  EXPECT_EQ(HelloProcess::WaitForExitOf(held), 128 + SIGTERM);
}

TEST_P(UpgradeFailureTest, ASuccessorThatIsNotReadyInTimeIsEnded) {
  // Time enough for programs that are not held.
  if (!Start(kWorkers, {"--config", config(), "--start-timeout", "3s"})) return;
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));
  const pid_t held = StartHeldSuccessor();
  ASSERT_GT(held, 0);
  EXPECT_NE(hello().WaitForLine("the successor was not ready in time; going on"), "");
  EXPECT_EQ(HelloProcess::WaitForExitOf(held), 128 + SIGKILL);
  ASSERT_TRUE(load.WaitForRequests(100));
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  // The next may start: it finds its configuration bad.
  Write("[http]\nserver_nam = \"bad\"\n");
  hello().Signal(SIGUSR2);
  EXPECT_NE(hello().WaitForLine("has ended before it was ready"), "");
  ExpectCleanEnd();
}

}  // namespace
}  // namespace quintet::testing
