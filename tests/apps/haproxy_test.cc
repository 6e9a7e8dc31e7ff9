// packaging/haproxy.cfg at work: four hello servers, restarted one after the other under load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "net/listener.h"
#include "tests/net/real_server.h"
#include "tests/support/child_process.h"
#include "tests/support/hello_process.h"
#include "tests/support/http_load.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

constexpr char kHaproxy[] = "/usr/sbin/haproxy";
constexpr size_t kServers = 4;

class HaproxyTest : public DescriptorLeakTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    if (::access(kHaproxy, X_OK) != 0) {
      if (::getenv("QUINTET_REQUIRE_HAPROXY") != nullptr) FAIL() << "no haproxy here";
      GTEST_SKIP() << "no haproxy here";
    }
    for (size_t i = 0; i < kServers; ++i) {
      servers_[i] = StartServer("127.0.0.1:0");
      ASSERT_TRUE(servers_[i]->started());
      addresses_.push_back(servers_[i]->addresses()[0]);
    }
    // A port that nobody has at this moment.
    front_.push_back(*ListenOn(*Address::Parse("127.0.0.1:0"), {})->LocalAddress());
    WriteConfig();
    haproxy_ = std::make_unique<ChildProcess>(
        kHaproxy, std::vector<std::string>{"-db", "-f", directory_ / "haproxy.cfg"});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!Dial(front_[0])) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  }
  void TearDown() override {
    haproxy_.reset();
    for (auto& server : servers_) server.reset();
    DescriptorLeakTest::TearDown();
  }

  std::unique_ptr<HelloProcess> StartServer(const std::string& address) const {
    // The balancer looks every 200 ms and gives up on a server after one failure. It keeps idle
    // connections, which the server ends when its deadline comes.
    std::vector<std::string> arguments = {"--listen", address,           "--drain-delay",
                                          "2s",       "--drain-timeout", "3s"};
    if (GetParam()) arguments.push_back("--proxy-protocol");
    return std::make_unique<HelloProcess>(arguments);
  }
  void WriteConfig() const {
    std::ifstream file(QUINTET_SOURCE_DIR "/packaging/haproxy.cfg");
    std::stringstream text;
    text << file.rdbuf();
    std::string config = text.str();
    config = absl::StrReplaceAll(config, {{"127.0.0.1:8080", front_[0].ToString()},
                                          {"127.0.0.1:8081", addresses_[0].ToString()},
                                          {"127.0.0.1:8082", addresses_[1].ToString()},
                                          {"127.0.0.1:8083", addresses_[2].ToString()},
                                          {"127.0.0.1:8084", addresses_[3].ToString()}});
    if (GetParam()) {
      config = absl::StrReplaceAll(
          config, {{"\n    default-server check ",
                    "\n    default-server check check-send-proxy send-proxy-v2 "}});
    }
    std::ofstream(directory_ / "haproxy.cfg") << config;
  }

  const ScratchDirectory directory_;
  std::array<std::unique_ptr<HelloProcess>, kServers> servers_;
  std::vector<Address> addresses_;
  std::vector<Address> front_;
  std::unique_ptr<ChildProcess> haproxy_;
};
std::string HeaderName(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "proxy_protocol" : "plain";
}
INSTANTIATE_TEST_SUITE_P(Headers, HaproxyTest, ::testing::Bool(), HeaderName);

TEST_P(HaproxyTest, ARollingRestartOfAllFourFailsNobody) {
  HttpLoad load(front_[0], {.connections = 64, .reconnecting = 8});
  ASSERT_TRUE(load.WaitForRequests(1000));
  for (size_t i = 0; i < kServers; ++i) {
    servers_[i]->Signal(SIGTERM);
    ASSERT_EQ(servers_[i]->WaitForExit(), 0) << "server " << i;
    ASSERT_TRUE(load.WaitForRequests(500)) << "server " << i;
    servers_[i] = StartServer(addresses_[i].ToString());
    ASSERT_TRUE(servers_[i]->started()) << "server " << i;
    // It serves again: what the balancer counts as up gets a share of the load.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (bool used = false; !used;) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "server " << i << " is not used";
      ASSERT_TRUE(load.WaitForRequests(200));
      servers_[i]->Signal(SIGUSR1);
      const std::string counters = servers_[i]->WaitForLine("accepted ");
      // The health checks count, too.
      used = std::stoi(counters.substr(counters.find("accepted ") + 9)) > 10;
    }
  }
  const HttpLoad::Report report = load.Stop();
  std::cout << "rolling restart: " << report.ToString() << "\n";
  EXPECT_TRUE(report.clean()) << report.ToString();
}

}  // namespace
}  // namespace quintet::testing
