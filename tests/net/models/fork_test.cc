// The model of a process for each connection: its cap, and its manners towards the program around.
#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/in_child.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"

namespace quintet::testing {
namespace {

constexpr ServedKind kFork{.model = ServerModel::kFork};

TEST(ForkModelTest, AtTheCapTheOthersWait) {
  constexpr size_t kCap = 8;
  constexpr int kMore = 100;
  ScriptedFactory sessions(IncrementScript());
  Served served(kFork, sessions, {}, {.max_children = kCap});
  std::vector<Fd> clients;
  for (int i = 0; i < static_cast<int>(kCap) + kMore; ++i) clients.push_back(served.Connect());
  ASSERT_TRUE(Eventually([&] { return served.Stats().workers == kCap; }));
  EXPECT_EQ(ChildrenOf(served.pid()).size(), kCap);
  for (const Fd& client : clients) {
    ASSERT_TRUE(SendAll(client.get(), "A"));
    ASSERT_EQ(ReceiveToEnd(client.get()), "B");
    ::shutdown(client.get(), SHUT_WR);
  }
  EXPECT_EQ(served.Stats().most_workers, kCap);
  EXPECT_EQ(served.Stats().refused, 0U);
}

TEST(ForkModelTest, AtTheCapTheOthersAreRefused) {
  constexpr size_t kCap = 8;
  constexpr uint64_t kMore = 100;
  ScriptedFactory sessions(EchoScript());
  Served served(kFork, sessions, {}, {.max_children = kCap, .at_cap = AtCap::kRefuse});
  std::vector<Fd> clients;
  for (size_t i = 0; i < kCap; ++i) {
    clients.push_back(served.Connect());
    ASSERT_TRUE(Echoes(clients.back()));
  }
  for (uint64_t i = 0; i < kMore; ++i) {
    const Fd refused = served.Connect();
    int error = 0;
    EXPECT_EQ(ReceiveToEnd(refused.get(), &error), "");
    EXPECT_EQ(error, ECONNRESET);
  }
  EXPECT_EQ(served.Stats().refused_at_cap, kMore);
  EXPECT_EQ(served.Stats().refused, kMore);
  EXPECT_EQ(served.Stats().most_workers, kCap);
  for (const Fd& client : clients) EXPECT_TRUE(Echoes(client));
  clients.pop_back();
  EXPECT_TRUE(Eventually([&] { return Echoes(served.Connect()); })) << "a place has come free";
}

// The embedding program has children and signal handlers of its own.
std::atomic<int> own_handler_calls = 0;
TEST(ForkModelTest, LeavesTheChildrenOfOthersAlone) {
  const std::string said = InChild([]() -> std::string {
    struct sigaction own = {};
    own.sa_handler = [](int) { ++own_handler_calls; };
    ::sigaction(SIGCHLD, &own, nullptr);
    ScriptedFactory sessions(IncrementScript());
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.loop.backend.log = nullptr;
    auto server = ModelServer::Create({.model = ServerModel::kFork}, options, sessions);
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
