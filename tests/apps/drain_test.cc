// Draining: what is under way is finished, kept connections are told to go with their next reply,
// and a client that is too slow is waited for until the deadline, or for as long as it takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/apps/operations_fixture.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kWorkers = 2;
constexpr milliseconds kDeadline{1500};
constexpr char kHalfARequest[] =
    "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello";

class DrainTest : public OperationsTest {
 protected:
  [[nodiscard]] bool StartWith(const std::string& drain_timeout) {
    return Start(kWorkers, {"--drain-timeout", drain_timeout});
  }

  // A client in the middle of its request; the first half of its body has come back.
  Fd SlowClient() {
    Fd client = Connect();
    EXPECT_TRUE(SendAll(client.get(), kHalfARequest));
    std::string reply;
    while (!reply.ends_with("hello")) {
      const std::string byte = ReceiveExactly(client.get(), 1);
      if (byte.empty()) break;
      reply += byte;
    }
    EXPECT_THAT(reply, HasSubstr(" 200 OK\r\n"));
    return client;
  }

  // Sends the signal and waits until nobody listens any more: the drain has begun everywhere.
  void BeginDrain(int signo) {
    hello().Signal(signo);
    EXPECT_TRUE(Eventually([this] { return !Connect(); }));
  }
};

INSTANTIATE_TEST_SUITE_P(
    Operations, DrainTest,
    ::testing::ValuesIn(EveryWorkerKind("reuseport", {BackendKind::kSelect, BackendKind::kPoll,
                                                      BackendKind::kEpollLt, BackendKind::kEpollEt,
                                                      BackendKind::kIoUring})),
    OperationName);

TEST_P(DrainTest, ASlowClientIsWaitedForUntilTheDeadline) {
  if (!StartWith("1500ms")) return;
  const Fd slow = SlowClient();
  const auto begin = steady_clock::now();
  hello().Signal(SIGTERM);
  EXPECT_EQ(hello().WaitForExit(), 0);
  const auto took = steady_clock::now() - begin;
  EXPECT_GE(took, kDeadline) << "it was not waited for";
  EXPECT_LT(took, kDeadline + std::chrono::seconds(20)) << "the deadline did not end it";
  EXPECT_EQ(ReceiveToEnd(slow.get()), "");
}

TEST_P(DrainTest, ASlowClientThatGetsDoneInTimeIsAnsweredAndEndsIt) {
  if (!StartWith("60s")) return;
  Fd slow = SlowClient();
  BeginDrain(SIGINT);
  ASSERT_TRUE(SendAll(slow.get(), "world"));
  EXPECT_EQ(ReceiveExactly(slow.get(), 5), "world");
  // The head of this reply promised that the connection stays: the next one takes leave.
  EXPECT_THAT(Ask(slow), HasSubstr("\r\nConnection: close\r\n"));
  int error = -1;
  EXPECT_EQ(ReceiveToEnd(slow.get(), &error), "");
  EXPECT_EQ(error, 0);
  const auto begin = steady_clock::now();
  slow.Reset();
  EXPECT_EQ(hello().WaitForExit(), 0);
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(30)) << "it waited for the deadline";
}

TEST_P(DrainTest, SigquitHasNoDeadline) {
  if (!StartWith("100ms")) return;
  Fd slow = SlowClient();
  BeginDrain(SIGQUIT);
  // Longer than the deadline that would end it.
  std::this_thread::sleep_for(milliseconds(500));
  ASSERT_TRUE(SendAll(slow.get(), "world"));
  EXPECT_EQ(ReceiveExactly(slow.get(), 5), "world");
  // The head of this reply promised that the connection stays: the next one takes leave.
  EXPECT_THAT(Ask(slow), HasSubstr("\r\nConnection: close\r\n"));
  int error = -1;
  EXPECT_EQ(ReceiveToEnd(slow.get(), &error), "");
  EXPECT_EQ(error, 0);
  slow.Reset();
  EXPECT_EQ(hello().WaitForExit(), 0);
}

TEST_P(DrainTest, KeptConnectionsGoWithTheirNextReply) {
  if (!StartWith("60s")) return;
  std::vector<Fd> kept;
  for (int i = 0; i < 16; ++i) {
    kept.push_back(Connect());
    EXPECT_THAT(Ask(kept.back()), Not(HasSubstr("\r\nConnection: close\r\n")));
  }
  BeginDrain(SIGTERM);
  for (Fd& client : kept) {
    EXPECT_THAT(Ask(client), HasSubstr("\r\nConnection: close\r\n"));
    int error = -1;
    EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
    EXPECT_EQ(error, 0);
    client.Reset();
  }
  EXPECT_EQ(hello().WaitForExit(), 0);
}

TEST_P(DrainTest, IdleConnectionsAreClosedAtTheDeadline) {
  if (!StartWith("1500ms")) return;
  const Fd idle = Connect();
  EXPECT_NE(Ask(idle), "");
  const auto begin = steady_clock::now();
  hello().Signal(SIGTERM);
  EXPECT_EQ(ReceiveToEnd(idle.get()), "");
  EXPECT_GE(steady_clock::now() - begin, kDeadline) << "closed before";
  EXPECT_EQ(hello().WaitForExit(), 0);
}

}  // namespace
}  // namespace quintet::testing
