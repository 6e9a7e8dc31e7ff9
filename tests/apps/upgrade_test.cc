// Binary upgrades by SIGUSR2 under load: each program hands its listening sockets to the next, and
// no client notices.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>

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
