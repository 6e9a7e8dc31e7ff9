// Binary upgrades by SIGUSR2 under load: each program hands its listening sockets to the next, and
// no client notices.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "tests/apps/operations_fixture.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

constexpr int kWorkers = 2;

using UpgradeTest = OperationsTest;

INSTANTIATE_TEST_SUITE_P(Operations, UpgradeTest,
                         ::testing::ValuesIn(EveryWorkerKind("reuseport", {BackendKind::kEpollEt,
                                                                           BackendKind::kIoUring})),
                         OperationName);

// "hello: successor 123 is ready": 123, or 0.
pid_t SuccessorIn(const std::string& line) {
  const std::string before = "successor ";
  const size_t at = line.find(before);
  return at == std::string::npos ? 0 : std::atoi(line.c_str() + at + before.size());
}

TEST_P(UpgradeTest, AChainOfSuccessorsLosesNothing) {
  const int upgrades = std::max(2, Scaled(10));
  if (!Start(kWorkers, {"--drain-timeout", "60s"})) return;
  HttpLoad load(address(), {.connections = kConnections, .reconnecting = 8});
  ASSERT_TRUE(load.WaitForRequests(1000));
  pid_t program = hello().pid();
  std::map<std::string, int> first_descriptors;
  for (int upgrade = 1; upgrade <= upgrades; ++upgrade) {
    SCOPED_TRACE(::testing::Message() << "upgrade " << upgrade);
    ASSERT_EQ(::kill(program, SIGUSR2), 0);
    const pid_t successor = SuccessorIn(hello().WaitForLine(" is ready"));
    ASSERT_GT(successor, 0);
    ASSERT_NE(successor, program);
    EXPECT_EQ(
        program == hello().pid() ? hello().WaitForExit() : HelloProcess::WaitForExitOf(program), 0);
    program = successor;
    if (upgrade == 1) first_descriptors = DescriptorKinds(program);
    ASSERT_TRUE(load.WaitForRequests(Random(1, 4 * kConnections)));
  }
  const HttpLoad::Report report = load.Stop();
  std::cout << upgrades << " upgrades: " << report.ToString() << "\n";
  EXPECT_TRUE(report.clean()) << report.ToString();
  EXPECT_EQ(report.answered, report.requests);
  EXPECT_GE(report.clean_closes, kConnections - 8);
  // Nothing is handed on that adds up. (Threads hold connections, which come and go.)
  if (GetParam().processes()) {
    EXPECT_TRUE(Eventually([&] { return DescriptorKinds(program) == first_descriptors; }))
        << ::testing::PrintToString(DescriptorKinds(program)) << " after "
        << ::testing::PrintToString(first_descriptors);
  }
  ASSERT_EQ(::kill(program, SIGTERM), 0);
  EXPECT_EQ(HelloProcess::WaitForExitOf(program), 0);
}

TEST_P(UpgradeTest, ASecondSignalStartsNoSecondSuccessor) {
  if (!Start(kWorkers, {"--drain-timeout", "60s"})) return;
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));
  hello().Signal(SIGUSR2);
  ASSERT_NE(hello().WaitForLine("starting a successor"), "");
  // Refused, or, where the first has become ready by now, without effect: this program is ending.
  hello().Signal(SIGUSR2);
  hello().Signal(SIGHUP);
  const pid_t successor = SuccessorIn(hello().WaitForLine(" is ready"));
  ASSERT_GT(successor, 0);
  EXPECT_EQ(hello().WaitForExit(), 0);
  ASSERT_TRUE(load.WaitForRequests(100));
  EXPECT_EQ(hello().CountLines("starting a successor"), 1U);
  EXPECT_EQ(hello().CountLines(" is ready"), 1U);
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  ASSERT_EQ(::kill(successor, SIGTERM), 0);
  EXPECT_EQ(HelloProcess::WaitForExitOf(successor), 0);
}

TEST_P(UpgradeTest, ASuccessorThatCannotServeChangesNothing) {
  char directory[] = "/tmp/quintet_upgrade_test_XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const std::string config = std::string(directory) + "/hello.toml";
  std::ofstream(config) << "[http]\nserver_name = \"good\"\n";
  if (!Start(kWorkers, {"--config", config})) return;
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));
  std::ofstream(config) << "[http]\nserver_nam = \"bad\"\n";
  hello().Signal(SIGUSR2);
  EXPECT_NE(hello().WaitForLine("has ended before it was ready"), "");
  ASSERT_TRUE(load.WaitForRequests(100));
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  std::filesystem::remove_all(directory);
  ExpectCleanEnd();
}

}  // namespace
}  // namespace quintet::testing
