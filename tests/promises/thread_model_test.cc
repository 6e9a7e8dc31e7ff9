// Promise 28: the thread model caps its threads, refuses by policy, and joins them on stop. (What
// it does when no thread can be made: promises/process_limits_test.)
#include <errno.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/peers.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

constexpr ServedKind kThread{.model = ServerModel::kThread};
constexpr size_t kCap = 8;
constexpr uint64_t kMore = 100;

// Threads of this process.
size_t Threads() {
  namespace fs = std::filesystem;
  return static_cast<size_t>(
      std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator()));
}

class ThreadModelTest : public DescriptorLeakTest {
 protected:
  ScriptedFactory sessions{EchoScript()};
};

TEST_F(ThreadModelTest, AtTheCapTheOthersWait) {
  Served served(kThread, sessions, {}, {.max_children = kCap});
  const size_t before = Threads();
  std::vector<Fd> clients;
  for (size_t i = 0; i < kCap + kMore; ++i) clients.push_back(served.Connect());
  ASSERT_TRUE(Eventually([&] { return served.Stats().workers == kCap; }));
  EXPECT_EQ(Threads(), before + kCap);
  for (Fd& client : clients) {
    ASSERT_TRUE(Echoes(client));
    client.Reset();
  }
  EXPECT_EQ(served.Stats().most_workers, kCap);
  EXPECT_EQ(served.Stats().refused, 0U);
}

TEST_F(ThreadModelTest, AtTheCapTheOthersAreRefused) {
  Served served(kThread, sessions, {}, {.max_children = kCap, .at_cap = AtCap::kRefuse});
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

TEST_F(ThreadModelTest, JoinsItsThreadsOnStop) {
  // With the first thread ThreadSanitizer starts one of its own, which stays.
  std::thread([] {}).join();
  const size_t before = Threads();
  Served served(kThread, sessions);
  std::vector<Fd> clients;
  for (size_t i = 0; i < 20; ++i) {
    clients.push_back(served.Connect());
    ASSERT_TRUE(Echoes(clients.back()));
  }
  EXPECT_TRUE(Eventually([&] { return served.Stats().workers == 20; }));
  served.Stop();
  for (Fd& client : clients) EXPECT_EQ(ReceiveToEnd(client.get()), "");
  clients.clear();
  EXPECT_TRUE(served.Join());
  EXPECT_EQ(served.Stats().workers, 0U);
  EXPECT_TRUE(Eventually([&] { return Threads() == before; }));
}

TEST_F(ThreadModelTest, TenThousandConnectionsLeaveNothingBehind) {
  Served served(kThread, sessions);
  const size_t before = Threads();
  const int connections = Scaled(10'000);
  for (int i = 0; i < connections; ++i) ASSERT_TRUE(Echoes(served.Connect()));
  EXPECT_TRUE(Eventually([&] { return served.Stats().workers == 0 && Threads() == before; }));
  EXPECT_EQ(served.Stats().accepted, static_cast<uint64_t>(connections));
}

}  // namespace
}  // namespace quintet::testing
