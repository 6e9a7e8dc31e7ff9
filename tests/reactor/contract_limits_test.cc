// The contract of Backend: adopting descriptors, threads, and limits of number.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/backend_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using LimitsTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, LimitsTest, AllBackends(), KindName);

using SelectLimitTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, SelectLimitTest, ::testing::Values(BackendKind::kSelect),
                         KindName);

using LimitsDeathTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, LimitsDeathTest, AllBackends(), KindName);

TEST_P(LimitsTest, AddRefusesWhatIsNoDescriptor) {
  Fd closed = MakeTcpSocket();
  const int number = closed.get();
  closed.Reset();
  for (const int fd : {-1, number, 1'000'000'000}) {
    RecordingSource& source = NewSource(Fd(fd));
    const absl::Status status = backend().Add(source);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << fd << ": " << status;
    EXPECT_NE(status.message().find(std::string(BackendName(GetParam()))), std::string::npos);
    EXPECT_FALSE(source.attached());
  }
  EXPECT_EQ(backend().attached_sources(), 0U);
}

TEST_P(LimitsTest, AddRefusesADescriptorTwice) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& first = AddSource(Fd(pair.ours.get()));
  RecordingSource& second = NewSource(Fd(pair.ours.get()));
  EXPECT_EQ(backend().Add(second).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(second.attached());
  backend().StartRecv(first);
  ASSERT_TRUE(SendAll(pair.peer.get(), "first"));
  ASSERT_TRUE(PumpUntil([&] { return first.received() == "first"; }));
  CloseAndPump(first, CloseMode::kKeep);
  EXPECT_TRUE(backend().Add(second).ok());
  pair.ours.Release();
}

TEST_P(LimitsTest, StartStopAndCloseNeverCompleteInsideTheCall) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  ASSERT_TRUE(SendAll(pair.peer.get(), "there already"));
  bool inside_call = true;
  source.then = [&](const Completion&) { EXPECT_FALSE(inside_call); };
  backend().StartRecv(source);
  backend().StopRecv(source);
  backend().StartRecv(source);
  Send(source, "x");
  backend().Wait(clock().Now() + kPatience);
  EXPECT_EQ(source.records().size(), 0U) << "Wait() delivered";
  inside_call = false;
  ASSERT_TRUE(PumpUntil(
      [&] { return source.Count(Op::kSend) == 1 && source.received() == "there already"; }));
  inside_call = true;
  backend().ShutdownSend(source);
  backend().Close(source, CloseMode::kClose);
  EXPECT_FALSE(source.closed());
  inside_call = false;
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
}

TEST_P(LimitsTest, ThousandsOfSourcesLoseNothing) {
  rlimit limit;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const size_t wanted =
      GetParam() == BackendKind::kSelect ? 400 : static_cast<size_t>(Scaled(3000)) + 400;
  const size_t count = std::min<size_t>(wanted, limit.rlim_cur / 2 - 100);
  std::vector<Fd> peers;
  std::vector<RecordingSource*> sources;
  for (size_t i = 0; i < count; ++i) {
    SocketPair pair = MakeUnixPair();
    sources.push_back(&AddSource(std::move(pair.ours)));
    peers.push_back(std::move(pair.peer));
    backend().StartRecv(*sources.back());
  }
  size_t complete = 0;
  for (int round = 1; round <= 3; ++round) {
    complete = 0;
    for (RecordingSource* source : sources) {
      source->then = [&, source, done = false](const Completion&) mutable {
        if (!done && source->received().size() == static_cast<size_t>(round)) {
          done = true;
          ++complete;
        }
      };
    }
    // All at once, more than any event array holds; in the last round one turn each.
    for (Fd& peer : peers) {
      ASSERT_TRUE(SendAll(peer.get(), "x"));
      if (round == 3) Turn(kPollOnly);
    }
    ASSERT_TRUE(PumpUntil([&] { return complete == count; })) << complete << " of " << count;
  }
  ExpectSilence();
  for (RecordingSource* source : sources) {
    source->then = nullptr;
    ASSERT_EQ(source->received(), "xxx");
    backend().Close(*source, CloseMode::kClose);
  }
  ASSERT_TRUE(PumpUntil([&] { return backend().attached_sources() == 0; }));
  for (RecordingSource* source : sources) ASSERT_EQ(source->Count(Op::kClosed), 1U);
}

TEST_P(LimitsTest, SlotsAreReusedWithoutMixingSourcesUp) {
  for (int i = 0; i < Scaled(500); ++i) {
    std::vector<SocketPair> pairs;
    std::vector<RecordingSource*> sources;
    for (int j = 0; j < 4; ++j) {
      pairs.push_back(MakeUnixPair());
      sources.push_back(&AddSource(std::move(pairs.back().ours)));
      backend().StartRecv(*sources.back());
      ASSERT_TRUE(SendAll(pairs.back().peer.get(), std::to_string(i * 4 + j)));
    }
    for (size_t j = 0; j < 4; ++j) {
      const std::string expected = std::to_string(static_cast<size_t>(i) * 4 + j);
      ASSERT_TRUE(PumpUntil([&] { return sources[j]->received() == expected; }));
    }
    for (const size_t j : {2, 0, 3, 1}) {
      CloseAndPump(*sources[j]);
      DestroySource(*sources[j]);
    }
  }
}

// epoll forgets a descriptor that is closed; the others can tell. Nobody may spin, and what is
// started afterwards must be told.
TEST_P(LimitsTest, DescriptorClosedBehindOurBackIsReportedNotSpunUpon) {
  SocketPair pair = MakeUnixPair();
  SocketPair other_pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  RecordingSource& other = AddSource(std::move(other_pair.ours));
  backend().StartRecv(source);
  backend().StartRecv(other);
  Turn(kPollOnly);
  ::close(source.fd());
  const bool told_by_wait = GetParam() == BackendKind::kSelect || GetParam() == BackendKind::kPoll;
  if (told_by_wait) {
    ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
    EXPECT_EQ(source.Last(Op::kRecv), -EBADF);
  }
  PumpFor(std::chrono::milliseconds(10));
  ExpectSilence(std::chrono::milliseconds(150));
  Send(source, "to nobody");
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), -EBADF);
  EXPECT_TRUE(SendAll(other_pair.peer.get(), "others live on"));
  ASSERT_TRUE(PumpUntil([&] { return other.received() == "others live on"; }));
  CloseAndPump(source, CloseMode::kKeep);
}

TEST_P(LimitsTest, DescriptorClosedBeforeItsRegistrationIsReported) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  ::close(source.fd());
  backend().StartRecv(source);
  ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
  EXPECT_EQ(source.Last(Op::kRecv), -EBADF);
  ExpectSilence();
  CloseAndPump(source, CloseMode::kKeep);
}

TEST_P(LimitsTest, WatchedDescriptorClosedBehindOurBackIsReportedToItsWatch) {
  if (GetParam() != BackendKind::kSelect && GetParam() != BackendKind::kPoll) {
    GTEST_SKIP() << "the kernel forgets a closed descriptor by itself";
  }
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  ASSERT_TRUE(backend().Watch(source, Readiness::kReadable, Trigger::kLevel).ok());
  Turn(kPollOnly);
  ::close(source.fd());
  source.then = [&](const Completion& completion) {
    if (completion.op == Op::kReady) backend().Close(source, CloseMode::kKeep);
  };
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
  EXPECT_NE(*source.Last(Op::kReady) & static_cast<int>(Readiness::kError), 0);
}

TEST_P(SelectLimitTest, DescriptorsFromFdSetsizeOnAreRefusedAndOthersLiveOn) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& living = AddSource(std::move(pair.ours));
  backend().StartRecv(living);
  Turn(kPollOnly);
  SocketPair high_pair = MakeUnixPair();
  for (const int number : {FD_SETSIZE, FD_SETSIZE + 1, 5000}) {
    const Fd high(::dup2(high_pair.ours.get(), number));
    ASSERT_EQ(high.get(), number);
    RecordingSource& source = NewSource(Fd(high.get()));
    const absl::Status status = backend().Add(source);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_NE(status.message().find("select"), std::string::npos) << status;
    EXPECT_NE(status.message().find("FD_SETSIZE"), std::string::npos) << status;
    EXPECT_FALSE(source.attached());
    EXPECT_TRUE(IsOpen(number)) << "it stays the caller's";
  }
  Fd last(::dup2(high_pair.ours.get(), FD_SETSIZE - 1));
  RecordingSource& highest = AddSource(std::move(last));
  backend().StartRecv(highest);
  ASSERT_TRUE(SendAll(high_pair.peer.get(), "1023"));
  ASSERT_TRUE(SendAll(pair.peer.get(), "low"));
  ASSERT_TRUE(
      PumpUntil([&] { return highest.received() == "1023" && living.received() == "low"; }));
}

// Debug builds check that a backend is called on its own thread, Wake() excepted.
TEST_P(LimitsDeathTest, CallsFromAnotherThreadAreCaught) {
#ifdef NDEBUG
  GTEST_SKIP() << "checked in debug builds only";
#else
  if (kThreadSanitizer) GTEST_SKIP() << "death tests of threads and TSan do not mix";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  const auto on_another_thread = [](auto&& call) {
    std::thread(call).join();
    std::fprintf(stderr, "nobody noticed\n");
    std::exit(0);
  };
  EXPECT_DEATH(on_another_thread([&] { backend().StartRecv(source); }), "thread");
  EXPECT_DEATH(on_another_thread([&] { backend().StopRecv(source); }), "thread");
  EXPECT_DEATH(on_another_thread([&] { Send(source, "x"); }), "thread");
  EXPECT_DEATH(on_another_thread([&] { backend().Close(source, CloseMode::kClose); }), "thread");
  EXPECT_DEATH(on_another_thread([&] { backend().Wait(kPollOnly); }), "thread");
  EXPECT_DEATH(on_another_thread([&] {
                 Completion completion;
                 backend().Next(&completion);
               }),
               "thread");
  std::thread([&] { backend().Wake(); }).join();
#endif
}

}  // namespace
}  // namespace quintet::testing
