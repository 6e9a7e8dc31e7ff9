// Those who accept on threads that block, and how they wait.
#include "net/models/blocking_acceptor.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/models/accept_wait.h"
#include "net/models/model_counters.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

class BlockingAcceptorTest : public DescriptorLeakTest {
 protected:
  void TearDown() override {
    listener.fd.Reset();
    DescriptorLeakTest::TearDown();
  }
  std::unique_ptr<BlockingAcceptor> MakeAcceptor(size_t worker) {
    return std::make_unique<BlockingAcceptor>(std::vector<int>{listener.fd.get()},
                                              counters->place(worker).counters, clock, log);
  }
  std::vector<pollfd> Entry(short revents) const {
    return {{.fd = listener.fd.get(), .events = POLLIN, .revents = revents}};
  }

  SteadyClock clock;
  LogFunction log;
  TestListener listener = MakeListener();
  std::unique_ptr<ModelCounters> counters = *ModelCounters::Create(3);
};

TEST_F(BlockingAcceptorTest, WhoIsWokenForNobodyCountsAnEmptyAccept) {
  const auto acceptor = MakeAcceptor(0);
  EXPECT_FALSE(acceptor->AcceptFrom(Entry(POLLIN)).has_value());
  EXPECT_EQ(acceptor->error(), EAGAIN);
  EXPECT_EQ(counters->Stats().empty_accepts, 1U);
  EXPECT_FALSE(acceptor->resting());
  const Fd client = ConnectTo(listener.address);
  EXPECT_TRUE(acceptor->AcceptFrom(Entry(POLLIN)).has_value());
  EXPECT_EQ(counters->Stats().empty_accepts, 1U) << "somebody was there";
  EXPECT_FALSE(acceptor->AcceptFrom(Entry(0)).has_value());
  EXPECT_EQ(counters->Stats().empty_accepts, 1U) << "it was not woken";
}

// The thundering herd, one step at a time: all have been told of the one connection before the
// first of them takes it.
class HerdTest : public BlockingAcceptorTest,
                 public ::testing::WithParamInterface<PreforkAccept> {};
INSTANTIATE_TEST_SUITE_P(All, HerdTest,
                         ::testing::Values(PreforkAccept::kSelect, PreforkAccept::kPoll,
                                           PreforkAccept::kEpoll),
                         [](const auto& kind) {
                           return std::string(PreforkAcceptName(kind.param));
                         });

TEST_P(HerdTest, AllAreWokenOneAcceptsAndTheOthersAreCounted) {
  const size_t workers = counters->places();
  std::vector<std::unique_ptr<BlockingAcceptor>> acceptors;
  std::vector<std::unique_ptr<AcceptWait>> waits;
  for (size_t i = 0; i < workers; ++i) {
    acceptors.push_back(MakeAcceptor(i));
    auto wait = AcceptWait::Create(GetParam(), acceptors.back()->listening());
    ASSERT_TRUE(wait.ok()) << wait.status();
    waits.push_back(*std::move(wait));
    EXPECT_FALSE(acceptors[i]->AcceptFrom(waits[i]->Wait(kPollOnly, clock)).has_value());
  }
  EXPECT_EQ(counters->Stats().empty_accepts, 0U) << "nobody was woken yet";
  const Fd client = ConnectTo(listener.address);
  std::vector<std::vector<pollfd>> told;
  for (const auto& wait : waits) told.push_back(wait->Wait(kNever, clock));
  size_t accepted = 0;
  for (size_t i = 0; i < workers; ++i) accepted += acceptors[i]->AcceptFrom(told[i]).has_value();
  EXPECT_EQ(accepted, 1U);
  EXPECT_EQ(counters->Stats().empty_accepts, workers - 1);
  // Who looks again is told that nobody is there.
  EXPECT_FALSE(acceptors[0]->AcceptFrom(waits[0]->Wait(kPollOnly, clock)).has_value());
  EXPECT_EQ(counters->Stats().empty_accepts, workers - 1);
}

}  // namespace
}  // namespace quintet::testing
