#include "net/acceptor.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/net/real_server.h"
#include "tests/support/loop_test.h"

namespace quintet::testing {
namespace {

// There before the taker that reads them.
struct WithCounters {
  WorkerCounters counters;
};

// Counts as a worker does once it has taken a connection, or holds them back.
class FakeTaker final : public WithCounters, public Acceptor::Taker {
 public:
  explicit FakeTaker(size_t max_connections = 0) : Taker(counters, max_connections) {}

  // What was given is taken now.
  void Adopt() {
    for (; adopted_ < given.size(); ++adopted_) {
      ConnectionCounters::Add(counters.connections.opened, 1);
      ConnectionCounters::Add(counters.connections.active, 1);
    }
  }
  void Drop(size_t count) {
    counters.connections.active = counters.connections.active.load() - count;
  }

  std::vector<Socket> given;
  bool willing = true;

 protected:
  bool Take(Socket& socket) override {
    if (!willing) return false;
    given.push_back(std::move(socket));
    return true;
  }

 private:
  size_t adopted_ = 0;
};

class AcceptorTest : public LoopTest {
 protected:
  void SetUp() override {
    LoopTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto sockets = ListenSockets::Open({.addresses = {*Address::Parse("127.0.0.1:0")},
                                        .policy = ListenPolicy::kHandoff,
                                        .workers = 4});
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    sockets_ = *sockets;
    acceptor_ = std::make_unique<Acceptor>(loop());
    for (FakeTaker& taker : takers_) acceptor_->Add(&taker);
    ASSERT_TRUE(acceptor_->Start(*sockets_).ok());
  }
  void TearDown() override {
    acceptor_.reset();
    sockets_.reset();
    clients_.clear();
    for (FakeTaker& taker : takers_) taker.given.clear();
    LoopTest::TearDown();
  }

  void Connect(size_t count) {
    for (size_t i = 0; i < count; ++i) clients_.push_back(Dial(sockets_->addresses()[0]));
  }
  size_t Given() const {
    size_t sum = 0;
    for (const FakeTaker& taker : takers_) sum += taker.given.size();
    return sum;
  }
  [[nodiscard]] bool RunUntilGiven(size_t count) {
    return TurnUntil([&] { return Given() == count; });
  }

  std::shared_ptr<ListenSockets> sockets_;
  std::unique_ptr<Acceptor> acceptor_;
  std::array<FakeTaker, 4> takers_;
  std::vector<Fd> clients_;
};
INSTANTIATE_TEST_SUITE_P(Backends, AcceptorTest, AllBackends(), KindName);

TEST_P(AcceptorTest, SpreadsEvenlyAlsoBeforeTheyAreCounted) {
  Connect(12);
  ASSERT_TRUE(RunUntilGiven(12));
  for (const FakeTaker& taker : takers_) EXPECT_EQ(taker.given.size(), 3U);
}

TEST_P(AcceptorTest, GivesToTheOneThatHasFewest) {
  Connect(8);
  ASSERT_TRUE(RunUntilGiven(8));
  for (FakeTaker& taker : takers_) taker.Adopt();
  takers_[2].Drop(2);
  Connect(2);
  ASSERT_TRUE(RunUntilGiven(10));
  EXPECT_EQ(takers_[2].given.size(), 4U);
  EXPECT_EQ(takers_[2].load(), 2U);
}

TEST_P(AcceptorTest, OneThatIsFullOrUnwillingIsPassedOver) {
  takers_[0].willing = false;
  FakeTaker limited(/*max_connections=*/1);
  acceptor_->Add(&limited);
  Connect(13);
  ASSERT_TRUE(TurnUntil([&] { return Given() + limited.given.size() == 13; }));
  EXPECT_EQ(takers_[0].given.size(), 0U);
  EXPECT_EQ(limited.given.size(), 1U);
  acceptor_->Remove(&limited);
}

TEST_P(AcceptorTest, WhomNobodyTakesWaitsAndIsNotLost) {
  for (FakeTaker& taker : takers_) taker.willing = false;
  Connect(5);
  for (int i = 0; i < 10; ++i) loop().RunOnce(Acceptor::kRetryInterval);
  EXPECT_EQ(Given(), 0U);
  takers_[1].willing = true;
  ASSERT_TRUE(RunUntilGiven(5));
  EXPECT_EQ(takers_[1].given.size(), 5U);
}

TEST_P(AcceptorTest, ANewWorkerBeginsAtZeroAlthoughItsCountersDoNot) {
  Connect(4);
  ASSERT_TRUE(RunUntilGiven(4));
  // One dies with a connection on its way to it; another takes its place and its counters.
  acceptor_->Remove(&takers_[0]);
  struct Successor final : Acceptor::Taker {
    using Taker::Taker;
    bool Take(Socket& socket) override {
      given.push_back(std::move(socket));
      return true;
    }
    std::vector<Socket> given;
  } successor(takers_[0].counters, 0);
  EXPECT_EQ(successor.load(), 0U);
  acceptor_->Add(&successor);
  Connect(1);
  ASSERT_TRUE(TurnUntil([&] { return successor.given.size() == 1; }));
  EXPECT_EQ(successor.load(), 1U);
  acceptor_->Remove(&successor);
}

TEST_P(AcceptorTest, FinishGivesAwayWhatItTookFirst) {
  for (FakeTaker& taker : takers_) taker.willing = false;
  Connect(3);
  for (int i = 0; i < 3; ++i) loop().RunOnce(Acceptor::kRetryInterval);
  bool finished = false;
  acceptor_->Finish({}, [&] { finished = true; });
  for (int i = 0; i < 3; ++i) loop().RunOnce(Acceptor::kRetryInterval);
  for (FakeTaker& taker : takers_) taker.willing = true;
  ASSERT_TRUE(TurnUntil([&] { return finished; }));
  // The rest, if any, is still with the kernel, for whoever accepts next.
  size_t waiting = 0;
  auto socket = sockets_->Duplicate(0);
  while (Socket(::accept4(socket->fd(), nullptr, nullptr, SOCK_CLOEXEC)).valid()) ++waiting;
  EXPECT_EQ(Given() + waiting, 3U);
  EXPECT_GT(Given(), 0U);
}

TEST_P(AcceptorTest, FinishWaitsNeitherForRoomNorForTakersThatAreGone) {
  for (FakeTaker& taker : takers_) acceptor_->Remove(&taker);
  FakeTaker limited(/*max_connections=*/1);
  acceptor_->Add(&limited);
  Connect(2);
  ASSERT_TRUE(TurnUntil([&] { return limited.given.size() == 1; }));
  for (int i = 0; i < 3; ++i) loop().RunOnce(Acceptor::kRetryInterval);
  bool finished = false;
  acceptor_->Finish({}, [&] { finished = true; });
  EXPECT_TRUE(TurnUntil([&] { return finished; })) << "it waits for room";

  acceptor_ = std::make_unique<Acceptor>(loop());
  ASSERT_TRUE(acceptor_->Start(*sockets_).ok());
  Connect(1);
  for (int i = 0; i < 3; ++i) loop().RunOnce(Acceptor::kRetryInterval);
  finished = false;
  acceptor_->Finish({}, [&] { finished = true; });
  EXPECT_TRUE(TurnUntil([&] { return finished; })) << "it waits for takers";
}

}  // namespace
}  // namespace quintet::testing
