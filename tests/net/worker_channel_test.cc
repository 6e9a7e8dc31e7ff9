#include "net/worker_channel.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/loop_test.h"

namespace quintet::testing {
namespace {

class WorkerChannelTest : public LoopTest {
 protected:
  void SetUp() override {
    LoopTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto pair = WorkerChannel::CreatePair();
    ASSERT_TRUE(pair.ok()) << pair.status();
    a_ = Make(std::move(pair->first), at_a_, a_ended_);
    b_ = Make(std::move(pair->second), at_b_, b_ended_);
  }
  void TearDown() override {
    a_.reset();
    b_.reset();
    at_a_.clear();
    at_b_.clear();
    LoopTest::TearDown();
  }

  std::unique_ptr<WorkerChannel> Make(Socket socket, std::vector<WorkerMessage>& messages,
                                      bool& ended) {
    auto channel = WorkerChannel::Create(
        loop(), std::move(socket),
        [&messages](WorkerMessage& message) { messages.push_back(std::move(message)); },
        [&ended] { ended = true; });
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }

  std::vector<WorkerMessage> at_a_, at_b_;
  bool a_ended_ = false;
  bool b_ended_ = false;
  std::unique_ptr<WorkerChannel> a_, b_;
};
INSTANTIATE_TEST_SUITE_P(Backends, WorkerChannelTest, AllBackends(), KindName);

TEST_P(WorkerChannelTest, EveryFieldArrives) {
  using std::chrono::seconds;
  a_->Send({.type = WorkerMessage::Type::kAcceptFrom, .sockets = {0, 7, 8, 1000}});
  a_->Send({.type = WorkerMessage::Type::kAcceptFrom});
  a_->Send({.type = WorkerMessage::Type::kDrain,
            .plan = {.delay = seconds(3),
                     .timeout = DrainPlan::kNoTimeout,
                     .stopping = false,
                     .abandoned = {3, 64}}});
  b_->Send({.type = WorkerMessage::Type::kReady, .text = "io_uring (auto)"});
  ASSERT_TRUE(TurnUntil([&] { return at_b_.size() == 3 && at_a_.size() == 1; }));
  EXPECT_EQ(at_b_[0].type, WorkerMessage::Type::kAcceptFrom);
  EXPECT_EQ(at_b_[0].sockets, (std::vector<size_t>{0, 7, 8, 1000}));
  EXPECT_TRUE(at_b_[1].sockets.empty());
  EXPECT_EQ(at_b_[2].plan.delay, seconds(3));
  EXPECT_EQ(at_b_[2].plan.timeout, DrainPlan::kNoTimeout);
  EXPECT_EQ(at_b_[2].plan.abandoned, (std::vector<size_t>{3, 64}));
  EXPECT_FALSE(at_b_[2].plan.stopping);
  EXPECT_EQ(at_a_[0].text, "io_uring (auto)");
}

TEST_P(WorkerChannelTest, ALongTextIsCut) {
  b_->Send({.type = WorkerMessage::Type::kFailed, .text = std::string(100'000, 'x')});
  ASSERT_TRUE(TurnUntil([&] { return at_a_.size() == 1; }));
  EXPECT_GT(at_a_[0].text.size(), WorkerChannel::kMaxBytes / 2);
  EXPECT_LE(at_a_[0].text.size(), WorkerChannel::kMaxBytes);
}

TEST_P(WorkerChannelTest, ADescriptorArrivesAndIsTheReceivers) {
  SocketPair pair = MakeTcpPair();
  a_->Send({.type = WorkerMessage::Type::kAdopt, .socket = Socket(pair.ours.Release())});
  ASSERT_TRUE(TurnUntil([&] { return at_b_.size() == 1; }));
  ASSERT_TRUE(at_b_[0].socket.valid());
  ASSERT_TRUE(SendAll(at_b_[0].socket.fd(), "hello"));
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), 5), "hello");
  at_b_.clear();
  EXPECT_EQ(ReceiveToEnd(pair.peer.get()), "") << "a descriptor of it was left";
}

TEST_P(WorkerChannelTest, WhatFindsNoRoomComesInOrderAllTheSame) {
  size_t sent = 0;
  WorkerMessage message{.type = WorkerMessage::Type::kLook};
  while (a_->TrySend(message)) ASSERT_LT(++sent, 100'000U);
  SocketPair pair = MakeUnixPair();
  WorkerMessage connection{.type = WorkerMessage::Type::kAdopt,
                           .socket = Socket(pair.ours.Release())};
  EXPECT_FALSE(a_->TrySend(connection));
  EXPECT_TRUE(connection.socket.valid()) << "it is the caller's still";
  a_->Send({.type = WorkerMessage::Type::kReady, .text = "first"});
  a_->Send({.type = WorkerMessage::Type::kReady, .text = "second"});
  ASSERT_TRUE(TurnUntil([&] { return at_b_.size() == sent + 2; }));
  EXPECT_EQ(at_b_[sent].text, "first");
  EXPECT_EQ(at_b_[sent + 1].text, "second");
}

TEST_P(WorkerChannelTest, TheEndIsToldAfterWhatWasSent) {
  a_->Send({.type = WorkerMessage::Type::kLeft});
  a_.reset();
  ASSERT_TRUE(TurnUntil([&] { return b_ended_; }));
  EXPECT_EQ(at_b_.size(), 1U);
  SocketPair pair = MakeUnixPair();
  WorkerMessage connection{.type = WorkerMessage::Type::kAdopt,
                           .socket = Socket(pair.ours.Release())};
  EXPECT_FALSE(b_->TrySend(connection));
  EXPECT_TRUE(connection.socket.valid());
  b_->Send({.type = WorkerMessage::Type::kLeft});  // to nobody, and no signal
}

TEST_P(WorkerChannelTest, WhatWasSentArrivesAlsoFromOneThatHasNotReadEverything) {
  a_->Send({.type = WorkerMessage::Type::kLook});
  b_->Send({.type = WorkerMessage::Type::kFailed, .text = "goodbye"});
  b_->Send({.type = WorkerMessage::Type::kLeft});
  b_.reset();
  ASSERT_TRUE(TurnUntil([&] { return a_ended_; }));
  ASSERT_EQ(at_a_.size(), 2U);
  EXPECT_EQ(at_a_[0].text, "goodbye");
}

}  // namespace
}  // namespace quintet::testing
