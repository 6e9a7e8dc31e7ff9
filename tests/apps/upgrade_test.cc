// Binary upgrades by SIGUSR2 under load: each program hands its listening sockets to the next, and
// no client notices.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "tests/apps/operations_fixture.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

constexpr int kWorkers = 2;

class UpgradeTest : public OperationsTest {
 protected:
  // Many with one policy; what is particular to another shows with the first.
  static int Upgrades() { return GetParam().policy == "reuseport" ? std::max(2, Scaled(10)) : 3; }
};

INSTANTIATE_TEST_SUITE_P(Operations, UpgradeTest,
                         ::testing::ValuesIn(EveryOperation({BackendKind::kEpollEt,
                                                             BackendKind::kIoUring})),
                         OperationName);

// Whether there are of no kind more than before, when some may have been about to be closed.
bool NoMore(const std::map<std::string, int>& now, const std::map<std::string, int>& before) {
  return std::all_of(now.begin(), now.end(), [&before](const auto& kind) {
    const auto same = before.find(kind.first);
    return same != before.end() && kind.second <= same->second;
  });
}

TEST_P(UpgradeTest, AChainOfSuccessorsLosesNothing) {
  if (!Start(kWorkers, {"--drain-timeout", "60s"})) return;
  HttpLoad load(address(), {.connections = kConnections, .reconnecting = 8});
  ASSERT_TRUE(load.WaitForRequests(1000));
  pid_t program = hello().pid();
  std::map<std::string, int> first_descriptors;
  for (int upgrade = 1; upgrade <= Upgrades(); ++upgrade) {
    SCOPED_TRACE(::testing::Message() << "upgrade " << upgrade);
    program = Upgrade(program);
    ASSERT_GT(program, 0);
    if (upgrade == 1) first_descriptors = DescriptorKinds(program);
    ASSERT_TRUE(load.WaitForRequests(Random(1, 4 * kConnections)));
  }
  const HttpLoad::Report report = load.Stop();
  std::cout << Upgrades() << " upgrades: " << report.ToString() << "\n";
  EXPECT_TRUE(report.clean()) << report.ToString();
  EXPECT_EQ(report.answered, report.requests);
  EXPECT_GE(report.clean_closes, kConnections - 8);
  // Nothing is handed on that adds up. (Threads hold connections, which come and go.)
  if (GetParam().processes()) {
    EXPECT_TRUE(Eventually([&] { return NoMore(DescriptorKinds(program), first_descriptors); }))
        << ::testing::PrintToString(DescriptorKinds(program)) << " after "
        << ::testing::PrintToString(first_descriptors);
  }
  ExpectCleanEndOf(program);
}

class ReconfiguringUpgradeTest : public OperationsTest {
 protected:
  void SetUp() override {
    config_ = ::testing::TempDir() + "/quintet_upgrade_" + std::to_string(::getpid()) + ".toml";
    OperationsTest::SetUp();
  }
  void TearDown() override {
    std::filesystem::remove(config_);
    OperationsTest::TearDown();
  }
  // For the next program that starts.
  void Write(std::string_view policy, int workers) const {
    std::ofstream(config_) << "[listen]\naddresses = [\"127.0.0.1:0\"]\npolicy = \"" << policy
                           << "\"\n[workers]\nkind = \"" << GetParam().worker_kind
                           << "\"\ncount = " << workers << "\npin = false\n";
  }
  // Sockets that listen at the address of the program.
  int CountListening() const {
    std::ifstream sockets("/proc/net/tcp");
    const std::string wanted = absl::StrFormat(":%04X 00000000:0000 0A ", address().port());
    int count = 0;
    for (std::string line; std::getline(sockets, line);) {
      count += line.find(wanted) != std::string::npos ? 1 : 0;
    }
    return count;
  }

  std::string config_;
};

INSTANTIATE_TEST_SUITE_P(Operations, ReconfiguringUpgradeTest,
                         ::testing::ValuesIn(EveryWorkerKind("reuseport", {BackendKind::kEpollEt})),
                         OperationName);

TEST_P(ReconfiguringUpgradeTest, ASuccessorHasASocketForEachWorker) {
  struct Step {
    std::string_view policy;
    int workers;
    int sockets;
  };
  const Step steps[] = {{"reuseport", 4, 4}, {"reuseport", 2, 4}, {"reuseport", 5, 5}};
  for (const std::string_view first : {"reuseport", "exclusive"}) {
    SCOPED_TRACE(first);
    Write(first, first == "reuseport" ? 1 : 3);
    ASSERT_TRUE(
        Launch({"--config", config_, "--backend", std::string(BackendName(GetParam().backend))}));
    EXPECT_EQ(CountListening(), 1);
    HttpLoad load(address(), {.connections = 16, .reconnecting = 16});
    pid_t program = hello().pid();
    for (const Step& step : steps) {
      SCOPED_TRACE(step.workers);
      ASSERT_TRUE(load.WaitForRequests(200));
      Write(step.policy, step.workers);
      program = Upgrade(program);
      ASSERT_GT(program, 0);
      EXPECT_EQ(CountListening(), step.sockets);
    }
    ASSERT_TRUE(load.WaitForRequests(200));
    const HttpLoad::Report report = load.Stop();
    EXPECT_TRUE(report.clean()) << report.ToString();
    EXPECT_EQ(hello().CountLines("share"), 0U);
    ExpectCleanEndOf(program);
  }
}

TEST_P(UpgradeTest, AUnixSocketIsHandedOnWithItsFile) {
  const std::string path = ::testing::TempDir() + "/quintet_upgrade_" + std::to_string(::getpid());
  listen = "unix:" + path;
  if (!Start(kWorkers, {"--drain-timeout", "60s"})) return;
  HttpLoad load(address(), {.connections = 16, .reconnecting = 8});
  ASSERT_TRUE(load.WaitForRequests(100));
  pid_t program = hello().pid();
  for (int upgrade = 1; upgrade <= 2; ++upgrade) {
    SCOPED_TRACE(::testing::Message() << "upgrade " << upgrade);
    program = Upgrade(program);
    ASSERT_GT(program, 0);
    EXPECT_TRUE(std::filesystem::exists(path)) << "the predecessor has removed it";
    ASSERT_TRUE(load.WaitForRequests(100));
  }
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  ExpectCleanEndOf(program);
  EXPECT_FALSE(std::filesystem::exists(path)) << "nobody has removed it";
}

}  // namespace
}  // namespace quintet::testing
