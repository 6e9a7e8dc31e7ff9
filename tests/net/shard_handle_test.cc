#include "net/shard_handle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "tests/net/real_server.h"
#include "tests/support/backend_kinds.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr int kShards = 3;

// Handing off gives each shard one of as many clients.
class ShardHandleTest : public DescriptorLeakTest,
                        public ::testing::WithParamInterface<BackendKind> {
 protected:
  void SetUp() override {
    if (!RequireBackend(GetParam())) return;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.policy = ListenPolicy::kHandoff;
    options.shards = kShards;
    options.loop.backend.kind = GetParam();
    options.loop.backend.log = nullptr;
  }
  static std::unique_ptr<Server> Make(const ServerOptions& options, SessionFactory& factory) {
    auto server = Server::Create(options, factory);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }
  template <typename Done>
  [[nodiscard]] static bool Eventually(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!done()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  ServerOptions options;
};
INSTANTIATE_TEST_SUITE_P(Backends, ShardHandleTest, AllBackends(), KindName);

// Who has run where.
struct Visits {
  std::mutex mutex;
  std::set<std::thread::id> sessions;
  std::map<int, std::vector<std::thread::id>> tasks;  // by the shard they were sent to
  size_t refused = 0;

  size_t count() {
    const std::lock_guard lock(mutex);
    size_t sum = refused;
    for (const auto& [shard, threads] : tasks) sum += threads.size();
    return sum;
  }
};

// Sends a task to every shard when something arrives.
class VisitingSession final : public Session {
 public:
  VisitingSession(const Server* server, Visits& visits) : server_(server), visits_(visits) {}
  size_t OnData(std::span<const std::byte> data) override {
    {
      const std::lock_guard lock(visits_.mutex);
      visits_.sessions.insert(std::this_thread::get_id());
    }
    for (int shard = 0; shard < kShards; ++shard) {
      const absl::Status status = server_->Shard(shard).Post([&visits = visits_, shard] {
        const std::lock_guard lock(visits.mutex);
        visits.tasks[shard].push_back(std::this_thread::get_id());
      });
      const std::lock_guard lock(visits_.mutex);
      if (!status.ok()) ++visits_.refused;
    }
    return data.size();
  }

 private:
  const Server* const server_;
  Visits& visits_;
};

TEST_P(ShardHandleTest, ASessionReachesTheThreadOfEveryShard) {
  Visits visits;
  const Server* raw = nullptr;
  FunctionFactory factory([&] { return std::make_unique<VisitingSession>(raw, visits); });
  auto made = Make(options, factory);
  raw = made.get();
  RunningServer server(std::move(made));
  std::vector<Fd> clients;
  for (int i = 0; i < kShards; ++i) {
    clients.push_back(Dial(server->addresses()[0]));
    ASSERT_TRUE(SendAll(clients.back().get(), "x"));
  }
  ASSERT_TRUE(Eventually([&] { return visits.count() == kShards * kShards; }));
  const std::lock_guard lock(visits.mutex);
  EXPECT_EQ(visits.refused, 0U);
  EXPECT_EQ(visits.sessions.size(), size_t{kShards}) << "a shard had no client";
  std::set<std::thread::id> threads;
  for (const auto& [shard, visited] : visits.tasks) {
    EXPECT_EQ(visited.size(), size_t{kShards});
    EXPECT_EQ(std::set(visited.begin(), visited.end()).size(), 1U) << "shard " << shard;
    threads.insert(visited.front());
  }
  EXPECT_EQ(threads, visits.sessions);
}

TEST_P(ShardHandleTest, AFullQueueRefusesAndSaysSo) {
  options.shard_queue_limit = 4;
  FunctionFactory factory = EchoFactory();
  std::atomic<bool> inside = false;
  std::atomic<bool> open = false;
  std::atomic<size_t> ran = 0;
  RunningServer server(Make(options, factory));
  // Also where an expectation has ended the test.
  const absl::Cleanup let_go = [&] {
    open = true;
    open.notify_all();
  };
  const ShardHandle shard = server->Shard(1);
  ASSERT_TRUE(shard
                  .Post([&] {
                    inside = true;
                    inside.notify_all();
                    open.wait(false);
                  })
                  .ok());
  inside.wait(false);
  for (size_t i = 0; i < options.shard_queue_limit; ++i) {
    EXPECT_TRUE(shard.Post([&] { ++ran; }).ok()) << i;
  }
  const absl::Status full = shard.Post([] { ADD_FAILURE() << "it was refused"; });
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("4"));
  EXPECT_TRUE(server->Shard(2).Post([&] { ++ran; }).ok()) << "each shard has its own bound";
  ASSERT_TRUE(Eventually([&] { return ran == 1; }));
  open = true;
  open.notify_all();
  ASSERT_TRUE(Eventually([&] { return ran == 1 + options.shard_queue_limit; }));
  EXPECT_TRUE(shard.Post([&] { ++ran; }).ok());
  ASSERT_TRUE(Eventually([&] { return ran == 2 + options.shard_queue_limit; }));
  EXPECT_TRUE(server.StopAndJoin().ok());
  EXPECT_EQ(shard.Post([] { ADD_FAILURE() << "it has ended"; }).code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace quintet::testing
