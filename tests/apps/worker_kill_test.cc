// Workers that are killed under load: the listening sockets are the supervisor's and lose nothing;
// only requests in flight on a killed worker fail.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <thread>

#include "tests/apps/operations_fixture.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"

namespace quintet::testing {
namespace {

using std::chrono::steady_clock;

constexpr int kWorkers = 4;
constexpr std::chrono::milliseconds kPeriod{200};
constexpr std::chrono::seconds kDuration{10};
// On the ring, where the policies differ less: what is particular to it shows with the first kills.
constexpr std::chrono::seconds kShortDuration{3};

using WorkerKillTest = OperationsTest;

INSTANTIATE_TEST_SUITE_P(Operations, WorkerKillTest,
                         ::testing::Values(Operation{"process", "reuseport", BackendKind::kEpollEt},
                                           Operation{"process", "exclusive", BackendKind::kEpollEt},
                                           Operation{"process", "shared", BackendKind::kEpollEt},
                                           Operation{"process", "handoff", BackendKind::kEpollEt},
                                           Operation{"process", "reuseport", BackendKind::kIoUring},
                                           Operation{"process", "exclusive", BackendKind::kIoUring},
                                           Operation{"process", "shared", BackendKind::kIoUring},
                                           Operation{"process", "handoff", BackendKind::kIoUring}),
                         OperationName);

TEST_P(WorkerKillTest, CostsOnlyTheRequestsInFlightOnThatWorker) {
  if (!Start(kWorkers)) return;
  HttpLoad load(address(), {.connections = kConnections, .reconnecting = 16});
  ASSERT_TRUE(load.WaitForRequests(1000));
  std::set<pid_t> killed;
  const Operation& operation = GetParam();
  const bool brief = operation.backend == BackendKind::kIoUring && operation.policy != "reuseport";
  const std::chrono::seconds duration = brief ? kShortDuration : kDuration;
  const auto begin = steady_clock::now();
  for (auto next = begin; next < begin + duration; next += kPeriod) {
    std::this_thread::sleep_until(next);
    const std::set<pid_t> workers = Workers();
    if (workers.empty()) continue;
    const auto nth = static_cast<std::ptrdiff_t>(Random(0, workers.size() - 1));
    const pid_t victim = *std::next(workers.begin(), nth);
    if (::kill(victim, SIGKILL) == 0) killed.insert(victim);
  }
  // All of them come back, and serve.
  EXPECT_TRUE(Eventually([&] { return Workers().size() == size_t{kWorkers}; }));
  EXPECT_TRUE(load.WaitForRequests(1000));
  const HttpLoad::Report report = load.Stop();
  const uint64_t kills = killed.size();
  std::cout << kills << " kills; " << report.failures() << " requests failed; "
            << report.failed_connects_of_any_kind() << " of "
            << report.connects + report.failed_connects_of_any_kind() << " connects failed\n"
            << report.ToString() << "\n";

  EXPECT_GT(kills, brief ? 3U : 10U);
  EXPECT_EQ(report.failed_connects_of_any_kind(), 0U) << report.ToString();
  EXPECT_EQ(report.timeouts, 0U) << "a connection was left in a queue: " << report.ToString();
  EXPECT_EQ(report.bad_replies, 0U) << report.ToString();
  // At most one request was in flight on each connection.
  EXPECT_LE(report.failures(), kills * kConnections);
  // "died: ", or "failed to start: " where it was not ready yet.
  EXPECT_TRUE(hello().WaitForLines(": signal 9 (SIGKILL)", kills));
  EXPECT_TRUE(Eventually([&] { return ZombiesOf(hello().pid()).empty(); }));
  ExpectCleanEnd();
}

// Between SIGTERM and the drain everything goes on as before, so this does, too; but nobody is
// started any more.
TEST_P(WorkerKillTest, LosesNoQueueInTheDrainDelay) {
  if (!Start(kWorkers, {"--drain-delay", "240s"})) return;
  HttpLoad load(address(), {.connections = kConnections, .reconnecting = 16});
  ASSERT_TRUE(load.WaitForRequests(1000));
  hello().Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&] {
    const Fd client = Connect();
    return SendAll(client.get(),
                   "GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n") &&
           ReceiveToEnd(client.get()).find(" 503 ") != std::string::npos;
  }));
  size_t kills = 0;
  for (const pid_t worker : Workers()) {
    if (kills == kWorkers - 1) break;
    ASSERT_EQ(::kill(worker, SIGKILL), 0);
    ASSERT_TRUE(hello().WaitForLines("died: signal 9 (SIGKILL)", ++kills));
    ASSERT_TRUE(load.WaitForRequests(1000));
  }
  const HttpLoad::Report report = load.Stop();
  EXPECT_EQ(report.failed_connects_of_any_kind(), 0U) << report.ToString();
  EXPECT_EQ(report.timeouts, 0U) << "a connection was left in a queue: " << report.ToString();
  EXPECT_EQ(report.bad_replies, 0U) << report.ToString();
  EXPECT_LE(report.failures(), kills * kConnections);
  EXPECT_EQ(Workers().size(), kWorkers - kills);
  ExpectCleanEnd();
}

}  // namespace
}  // namespace quintet::testing
