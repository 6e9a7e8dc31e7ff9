// Promises 25 and 26: the listening policy is a choice, and what each costs is measured.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "net/server.h"
#include "tests/net/real_server.h"
#include "tests/support/backend_kinds.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

class PolicyTest : public ::testing::TestWithParam<std::tuple<BackendKind, ListenPolicy>> {
 protected:
  void SetUp() override {
    if (!RequireBackend(backend())) return;
  }
  BackendKind backend() const { return std::get<0>(GetParam()); }
  ListenPolicy policy() const { return std::get<1>(GetParam()); }

  std::unique_ptr<Server> Make(int shards) {
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.shards = shards;
    options.policy = policy();
    options.loop.backend.kind = backend();
    options.loop.backend.log = nullptr;
    auto server = Server::Create(options, factory_);
    EXPECT_TRUE(server.ok()) << server.status();
    EXPECT_EQ((*server)->backend(), backend());
    return *std::move(server);
  }

  // Waits until `holds` of the server's counters; false when it never did.
  template <typename Holds>
  [[nodiscard]] static bool WaitFor(const Server& server, Holds holds) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!holds(server.Stats())) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      ::usleep(100);
    }
    return true;
  }
  template <typename Member>
  static uint64_t Sum(const std::vector<ShardStats>& stats, Member member) {
    uint64_t sum = 0;
    for (const ShardStats& shard : stats) sum += shard.*member;
    return sum;
  }

  FunctionFactory factory_ = EchoFactory();
};

std::string PolicyName(const ::testing::TestParamInfo<PolicyTest::ParamType>& info) {
  return std::string(BackendName(std::get<0>(info.param))) + "_" +
         std::string(ListenPolicyName(std::get<1>(info.param)));
}
INSTANTIATE_TEST_SUITE_P(All, PolicyTest,
                         ::testing::Combine(::testing::ValuesIn(kRealBackends),
                                            ::testing::ValuesIn(kListenPolicies)),
                         PolicyName);

TEST_P(PolicyTest, TwelveLongConnectionsOnFourShards) {
  RunningServer server(Make(4));
  std::vector<Fd> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(Dial(server->addresses()[0]));
  ASSERT_TRUE(
      WaitFor(*server, [](const auto& stats) { return Sum(stats, &ShardStats::active) == 12; }));
  std::string spread;
  for (const ShardStats& shard : server->Stats()) {
    spread += (spread.empty() ? "" : "/") + std::to_string(shard.active);
  }
  std::cout << "spread: " << spread << "\n";
  if (policy() == ListenPolicy::kHandoff) {
    EXPECT_EQ(spread, "3/3/3/3");
  }
  for (const Fd& client : clients) {
    ASSERT_TRUE(SendAll(client.get(), "hello"));
    EXPECT_EQ(ReceiveExactly(client.get(), 5), "hello");
  }
}

// Times that the threads of this process other than the caller's went to sleep.
uint64_t VoluntarySwitches() {
  uint64_t sum = 0;
  const std::string own = std::to_string(::gettid());
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == own) continue;
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("voluntary_ctxt_switches:")) sum += std::stoull(line.substr(24));
    }
  }
  return sum;
}

using HerdTest = PolicyTest;
INSTANTIATE_TEST_SUITE_P(
    Some, HerdTest,
    ::testing::Values(std::tuple(BackendKind::kSelect, ListenPolicy::kShared),
                      std::tuple(BackendKind::kSelect, ListenPolicy::kReusePort),
                      std::tuple(BackendKind::kEpollLt, ListenPolicy::kShared),
                      std::tuple(BackendKind::kEpollLt, ListenPolicy::kExclusive),
                      std::tuple(BackendKind::kEpollEt, ListenPolicy::kExclusive),
                      std::tuple(BackendKind::kEpollEt, ListenPolicy::kReusePort),
                      std::tuple(BackendKind::kIoUring, ListenPolicy::kReusePort)),
    PolicyName);

TEST_P(HerdTest, SixteenWorkersAndAThousandLoneConnections) {
  constexpr uint64_t kConnections = 1000;
  RunningServer server(Make(16));
  // A first one, so that all of them sleep when the counting begins.
  const Fd first = Dial(server->addresses()[0]);
  ASSERT_TRUE(
      WaitFor(*server, [](const auto& stats) { return Sum(stats, &ShardStats::accepted) == 1; }));
  const uint64_t before = VoluntarySwitches();
  for (uint64_t i = 0; i < kConnections; ++i) {
    const Fd client = Dial(server->addresses()[0]);
    ASSERT_TRUE(client);
    ASSERT_TRUE(WaitFor(
        *server, [&](const auto& stats) { return Sum(stats, &ShardStats::accepted) == i + 2; }));
  }
  const double wakes = static_cast<double>(VoluntarySwitches() - before) / kConnections;
  const uint64_t empty = Sum(server->Stats(), &ShardStats::empty_accepts);
  std::cout << "wake-ups per connection: " << wakes << ", empty accepts: " << empty << "\n";
  if (policy() == ListenPolicy::kShared) {
    EXPECT_GT(wakes, 4);
    EXPECT_GT(empty, 0U);
  }
  if (policy() == ListenPolicy::kReusePort) {
    EXPECT_EQ(empty, 0U);
  }
}

}  // namespace
}  // namespace quintet::testing
