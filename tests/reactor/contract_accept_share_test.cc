// The contract of Backend: listening sockets that others accept from too, and their end.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "tests/support/backend_test.h"

namespace quintet::testing {
namespace {

class AcceptShareTest : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    listener_ = MakeListener();
  }
  void TearDown() override {
    listener_.fd.Reset();
    BackendTest::TearDown();
  }

  // A source that accepts from the listener through a descriptor of its own.
  RecordingSource& Share() { return AddSource(Fd(::dup(listener_.fd.get()))); }
  // Connections that nobody has accepted yet.
  size_t CountWaiting() {
    size_t count = 0;
    while (Fd(::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC))) ++count;
    return count;
  }

  TestListener listener_;
};
INSTANTIATE_TEST_SUITE_P(Backends, AcceptShareTest, AllBackends(), KindName);

TEST_P(AcceptShareTest, FinishIsToldOnceAndLast) {
  RecordingSource& source = Share();
  backend().StartAccept(source);
  Fd client = ConnectTo(listener_.address);
  ASSERT_TRUE(PumpUntil([&] { return source.accepted().size() == 1; }));
  backend().FinishAccept(source, Backlog::kLeave);
  ASSERT_TRUE(PumpUntil([&] { return source.Last(Op::kAccept) == -ECANCELED; }));
  Fd later = ConnectTo(listener_.address);
  ExpectSilence();
  EXPECT_EQ(source.accepted().size(), 1U);
  EXPECT_EQ(source.CountResult(Op::kAccept, -ECANCELED), 1U);
  EXPECT_EQ(CountWaiting(), 1U);
}

TEST_P(AcceptShareTest, FinishIsToldToOneThatDoesNotAccept) {
  RecordingSource& fresh = Share();
  backend().FinishAccept(fresh, Backlog::kLeave);
  RecordingSource& stopped = Share();
  backend().StartAccept(stopped);
  PumpFor(std::chrono::milliseconds(5));
  backend().StopAccept(stopped);
  PumpFor(std::chrono::milliseconds(5));
  backend().FinishAccept(stopped, Backlog::kLeave);
  for (RecordingSource* source : {&fresh, &stopped}) {
    EXPECT_TRUE(PumpUntil([&] { return source->Last(Op::kAccept) == -ECANCELED; }));
  }
}

TEST_P(AcceptShareTest, AfterCloseFinishIsNotTold) {
  RecordingSource& source = Share();
  backend().StartAccept(source);
  PumpFor(std::chrono::milliseconds(5));
  backend().FinishAccept(source, Backlog::kLeave);
  CloseAndPump(source);
  EXPECT_EQ(source.records().back().op, Op::kClosed);
}

// Whoever is the last to accept from a socket takes those who wait in it; others leave them.
TEST_P(AcceptShareTest, FinishTakesThoseWhoWaitOrLeavesThem) {
  constexpr size_t kClients = 200;
  for (const Backlog backlog : {Backlog::kLeave, Backlog::kTake}) {
    RecordingSource& fresh = Share();
    RecordingSource& stopped = Share();
    backend().StartAccept(stopped);
    PumpFor(std::chrono::milliseconds(5));
    backend().StopAccept(stopped);
    PumpFor(std::chrono::milliseconds(5));
    for (RecordingSource* source : {&fresh, &stopped}) {
      std::vector<Fd> clients;
      for (size_t i = 0; i < kClients; ++i) clients.push_back(ConnectTo(listener_.address));
      backend().FinishAccept(*source, backlog);
      ASSERT_TRUE(PumpUntil([&] { return source->Last(Op::kAccept) == -ECANCELED; }));
      const size_t taken = backlog == Backlog::kTake ? kClients : 0;
      EXPECT_EQ(source->accepted().size(), taken);
      EXPECT_EQ(source->CountResult(Op::kAccept, -ECANCELED), 1U);
      EXPECT_EQ(CountWaiting(), kClients - taken);
      source->accepted().clear();
    }
  }
  ExpectSilence();
}

TEST_P(AcceptShareTest, FinishTakesThoseWhoWaitBehindTheOnesThatWereTaken) {
  RecordingSource& source = Share();
  backend().StartAccept(source);
  PumpFor(std::chrono::milliseconds(5));
  std::vector<Fd> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(ConnectTo(listener_.address));
  backend().Wait(kPollOnly);
  for (int i = 0; i < 100; ++i) clients.push_back(ConnectTo(listener_.address));
  backend().FinishAccept(source, Backlog::kTake);
  ASSERT_TRUE(PumpUntil([&] { return source.Last(Op::kAccept) == -ECANCELED; }));
  EXPECT_EQ(source.accepted().size(), clients.size());
  EXPECT_EQ(CountWaiting(), 0U);
}

// As many as come: each that is taken is followed by another.
TEST_P(AcceptShareTest, AStormDoesNotKeepFinishFromItsEnd) {
  RecordingSource& source = Share();
  Fd client = ConnectTo(listener_.address);
  source.then = [&](const Completion& completion) {
    if (completion.op != Op::kAccept || completion.result < 0) return;
    source.accepted().clear();
    client = ConnectTo(listener_.address);
  };
  backend().FinishAccept(source, Backlog::kTake);
  ASSERT_TRUE(PumpUntil([&] { return source.Last(Op::kAccept) == -ECANCELED; }));
  EXPECT_EQ(source.Count(Op::kAccept), size_t{Backend::kMaxTakenAtEnd} + 1);
}

// What comes while accepting ends is either delivered or left to the others. 200 times, for the
// moment matters.
TEST_P(AcceptShareTest, FinishLosesNoConnection) {
  for (int round = 0; round < 200; ++round) {
    RecordingSource& source = Share();
    backend().StartAccept(source);
    std::vector<Fd> clients;
    clients.push_back(ConnectTo(listener_.address));
    if (round % 2 == 0) PumpFor(std::chrono::milliseconds(0));
    clients.push_back(ConnectTo(listener_.address));
    backend().FinishAccept(source, Backlog::kLeave);
    if (round % 3 == 0) clients.push_back(ConnectTo(listener_.address));
    ASSERT_TRUE(PumpUntil([&] { return source.Last(Op::kAccept) == -ECANCELED; }));
    CloseAndPump(source);
    ASSERT_EQ(source.accepted().size() + CountWaiting(), clients.size()) << "round " << round;
    DestroySource(source);
  }
}

// Two loops share a socket, and the one that is woken for a connection never comes to accept it.
TEST_P(AcceptShareTest, StartAgainFindsWhomNobodyWasWokenFor) {
  SteadyClock other_clock;
  BackendOptions options;
  options.kind = GetParam();
  options.log = nullptr;
  auto other = CreateBackend(options, other_clock);
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE((*other)->BindToThread().ok());
  RecordingSource first(::dup(listener_.fd.get()));
  ASSERT_TRUE((*other)->Add(first).ok());
  (*other)->ShareAccept(first);
  (*other)->StartAccept(first);
  (*other)->Wait(kPollOnly);

  RecordingSource& second = Share();
  backend().ShareAccept(second);
  backend().StartAccept(second);
  PumpFor(std::chrono::milliseconds(5));
  Fd client = ConnectTo(listener_.address);
  PumpFor(std::chrono::milliseconds(20));
  backend().StartAccept(second);
  EXPECT_TRUE(PumpUntil([&] { return second.accepted().size() == 1; }));
  // Nobody there: no harm, no completion.
  backend().StartAccept(second);
  ExpectSilence();
  EXPECT_EQ(second.records().size(), 1U);
  // However many there are: nobody is woken for them a second time.
  constexpr size_t kCrowd = 200;
  std::vector<Fd> crowd;
  for (size_t i = 0; i < kCrowd; ++i) crowd.push_back(ConnectTo(listener_.address));
  PumpFor(std::chrono::milliseconds(20));
  backend().StartAccept(second);
  backend().StartAccept(second);
  EXPECT_TRUE(PumpUntil([&] { return second.accepted().size() == 1 + kCrowd; }));
  EXPECT_EQ(CountWaiting(), 0U);

  (*other)->CloseAll();
  Completion completion;
  while ((*other)->attached_sources() > 0) {
    (*other)->Wait(kNever);
    while ((*other)->Next(&completion)) completion.source->OnCompletion(completion);
  }
}

// Of those that found nobody, only the ones that were woken count.
TEST_P(AcceptShareTest, EmptyWakeUpsAreCounted) {
  if (GetParam() == BackendKind::kIoUring) GTEST_SKIP() << "the ring does not tell of them";
  std::atomic<uint64_t> counter = 0;
  backend().set_empty_accepts(&counter);
  RecordingSource& source = Share();
  backend().StartAccept(source);
  PumpFor(std::chrono::milliseconds(5));
  for (int i = 0; i < 10; ++i) {
    Fd client = ConnectTo(listener_.address);
    ASSERT_TRUE(PumpUntil([&] { return source.accepted().size() == static_cast<size_t>(i + 1); }));
    PumpFor(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(backend().stats().empty_accepts, 0U);
  // Somebody else takes it between the wake-up and the accept.
  Fd client = ConnectTo(listener_.address);
  backend().Wait(clock().Now() + kPatience);
  EXPECT_EQ(CountWaiting(), 1U);
  ExpectSilence();
  EXPECT_EQ(backend().stats().empty_accepts, 1U);
  EXPECT_EQ(counter, 1U);
  backend().set_empty_accepts(nullptr);
}

}  // namespace
}  // namespace quintet::testing
