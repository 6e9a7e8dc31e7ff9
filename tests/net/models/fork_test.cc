// The model of a process for each connection: its cap.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
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

}  // namespace
}  // namespace quintet::testing
