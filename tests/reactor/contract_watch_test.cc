// The contract of Backend: raw readiness of descriptors that others read and write.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "tests/support/backend_test.h"

namespace quintet::testing {
namespace {

bool Has(std::optional<int32_t> result, Readiness bit) {
  return result.has_value() && Any(static_cast<Readiness>(*result) & bit);
}

class WatchTest : public BackendTest {
 protected:
  RecordingSource& WatchFd(int fd, Readiness interest, Trigger trigger = Trigger::kLevel) {
    // Watched descriptors stay the test's: given back before the test closes them.
    RecordingSource& source = AddSource(Fd(fd));
    const absl::Status watched = backend().Watch(source, interest, trigger);
    EXPECT_TRUE(watched.ok()) << watched;
    return source;
  }
  void Unwatch(RecordingSource& source) {
    if (source.attached()) CloseAndPump(source, CloseMode::kKeep);
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, WatchTest, AllBackends(), KindName);

using EdgeTest = WatchTest;
INSTANTIATE_TEST_SUITE_P(Backends, EdgeTest, EdgeBackends(), KindName);

class NoEdgeTest : public WatchTest {};
INSTANTIATE_TEST_SUITE_P(Backends, NoEdgeTest,
                         ::testing::Values(BackendKind::kSelect, BackendKind::kPoll), KindName);

TEST_P(WatchTest, LevelIsToldEachTurnWhileItHolds) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable);
  ExpectSilence();
  ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
  for (size_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) >= i; }));
    EXPECT_TRUE(Has(source.Last(Op::kReady), Readiness::kReadable));
    EXPECT_FALSE(Has(source.Last(Op::kReady), Readiness::kWritable));
  }
  char byte;
  ASSERT_EQ(::read(pair.ours.get(), &byte, 1), 1);
  PumpFor(std::chrono::milliseconds(10));
  ExpectSilence();
  ASSERT_TRUE(SendAll(pair.peer.get(), "y"));
  const size_t before = source.Count(Op::kReady);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > before; }));
  Unwatch(source);
}

TEST_P(WatchTest, LevelIsToldAtMostOnceATurn) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kWritable);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  for (int i = 0; i < 10; ++i) {
    const size_t before = source.Count(Op::kReady);
    Turn(clock().Now() + kPatience);
    EXPECT_LE(source.Count(Op::kReady), before + 1);
  }
  Unwatch(source);
}

TEST_P(WatchTest, NoneGivesSilenceAndInterestMayComeBack) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable);
  ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  ASSERT_TRUE(backend().Watch(source, Readiness::kNone, Trigger::kLevel).ok());
  ExpectSilence();
  // Also with a hang-up, which the kernel would report unasked.
  pair.peer.Reset();
  ExpectSilence(std::chrono::milliseconds(150));
  source.Clear();
  ASSERT_TRUE(backend().Watch(source, Readiness::kReadable, Trigger::kLevel).ok());
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  Unwatch(source);
}

TEST_P(WatchTest, InterestsChangeIndependently) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable);
  const auto expect = [&](Readiness interest, bool readable, bool writable) {
    source.Clear();
    ASSERT_TRUE(backend().Watch(source, interest, Trigger::kLevel).ok());
    if (!readable && !writable) {
      ExpectSilence(std::chrono::milliseconds(20));
      return;
    }
    Readiness seen = Readiness::kNone;
    ASSERT_TRUE(PumpUntil([&] {
      for (const auto& record : source.records()) seen |= static_cast<Readiness>(record.result);
      return Any(seen & Readiness::kReadable) == readable &&
             Any(seen & Readiness::kWritable) == writable;
    }));
    PumpFor(std::chrono::milliseconds(2));
    for (const auto& record : source.records()) seen |= static_cast<Readiness>(record.result);
    EXPECT_EQ(Any(seen & Readiness::kReadable), readable);
    EXPECT_EQ(Any(seen & Readiness::kWritable), writable);
  };
  const Readiness both = Readiness::kReadable | Readiness::kWritable;
  expect(Readiness::kReadable, false, false);
  expect(Readiness::kWritable, false, true);
  expect(both, false, true);
  ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
  expect(both, true, true);
  expect(Readiness::kReadable, true, false);
  expect(Readiness::kWritable, false, true);
  expect(both, true, true);
  FillSocket(pair.ours.get());
  expect(both, true, false);
  expect(Readiness::kWritable, false, false);
  Unwatch(source);
}

TEST_P(WatchTest, HangUpIsReported) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  Fd reader(fds[0]);
  Fd writer(fds[1]);
  RecordingSource& source = WatchFd(reader.get(), Readiness::kReadable);
  ExpectSilence();
  writer.Reset();
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  // select has no word for a hang-up: it says readable.
  EXPECT_TRUE(Has(source.Last(Op::kReady),
                  GetParam() == BackendKind::kSelect ? Readiness::kReadable : Readiness::kHangup));
  Unwatch(source);
}

TEST_P(WatchTest, ErrorOfAPipeWithoutReaderIsReportedToAWriter) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  Fd reader(fds[0]);
  Fd writer(fds[1]);
  const std::string page(4096, 'p');
  while (::write(writer.get(), page.data(), page.size()) > 0) {
  }
  RecordingSource& source = WatchFd(writer.get(), Readiness::kWritable);
  ExpectSilence();
  reader.Reset();
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  EXPECT_TRUE(Has(source.Last(Op::kReady),
                  GetParam() == BackendKind::kSelect ? Readiness::kWritable : Readiness::kError));
  Unwatch(source);
}

TEST_P(WatchTest, UrgentDataIsPriority) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kPriority);
  ASSERT_TRUE(SendAll(pair.peer.get(), "ordinary"));
  ExpectSilence();
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  EXPECT_TRUE(Has(source.Last(Op::kReady), Readiness::kPriority));
  EXPECT_FALSE(Has(source.Last(Op::kReady), Readiness::kReadable));
  char byte = 0;
  EXPECT_EQ(::recv(pair.ours.get(), &byte, 1, MSG_OOB), 1);
  EXPECT_EQ(byte, '!');
  Unwatch(source);
}

TEST_P(WatchTest, CloseFromInsideTheCallbackEndsIt) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kWritable);
  source.then = [&](const Completion& completion) {
    if (completion.op == Op::kReady) backend().Close(source, CloseMode::kKeep);
  };
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
  EXPECT_EQ(source.records().size(), 2U);
  EXPECT_TRUE(IsOpen(pair.ours.get()));
  // The descriptor may be watched again right away.
  source.then = nullptr;
  RecordingSource& again = WatchFd(pair.ours.get(), Readiness::kWritable);
  ASSERT_TRUE(PumpUntil([&] { return again.Count(Op::kReady) > 0; }));
  Unwatch(again);
}

TEST_P(WatchTest, WatchOfAClosingSourceIsRefused) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable);
  backend().Close(source, CloseMode::kKeep);
  EXPECT_EQ(backend().Watch(source, Readiness::kReadable, Trigger::kLevel).code(),
            absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
}

TEST_P(EdgeTest, EachNewArrivalIsToldOnce) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable, Trigger::kEdge);
  ExpectSilence();
  for (size_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(SendAll(pair.peer.get(), "xy"));
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) == i; }));
    EXPECT_TRUE(Has(source.Last(Op::kReady), Readiness::kReadable));
    // A partial read, then nothing new: no event.
    char byte;
    ASSERT_EQ(::read(pair.ours.get(), &byte, 1), 1);
    ExpectSilence(std::chrono::milliseconds(20));
  }
  Unwatch(source);
}

TEST_P(EdgeTest, UnreadRestIsFoundAgainByWatchingAnew) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable, Trigger::kEdge);
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) == 1; }));
  ExpectSilence(std::chrono::milliseconds(20));
  ASSERT_TRUE(backend().Watch(source, Readiness::kReadable, Trigger::kEdge).ok());
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) == 2; }));
  ExpectSilence(std::chrono::milliseconds(20));
  Unwatch(source);
}

TEST_P(EdgeTest, ChangingToLevelAndBackWorks) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable, Trigger::kEdge);
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) == 1; }));
  ASSERT_TRUE(backend().Watch(source, Readiness::kReadable, Trigger::kLevel).ok());
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) >= 5; }));
  ASSERT_TRUE(backend().Watch(source, Readiness::kReadable, Trigger::kEdge).ok());
  PumpFor(std::chrono::milliseconds(20));
  ExpectSilence();
  Unwatch(source);
}

TEST_P(EdgeTest, CounterThatChangesIsToldEachTime) {
  const Fd counter(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  RecordingSource& source = WatchFd(counter.get(), Readiness::kReadable, Trigger::kEdge);
  const uint64_t one = 1;
  for (size_t i = 1; i <= 3; ++i) {
    ASSERT_EQ(::write(counter.get(), &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) == i; }));
    ExpectSilence(std::chrono::milliseconds(20));
  }
  Unwatch(source);
}

TEST_P(EdgeTest, HangUpIsToldOnce) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = WatchFd(pair.ours.get(), Readiness::kReadable, Trigger::kEdge);
  ExpectSilence();
  pair.peer.Reset();
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  EXPECT_TRUE(Has(source.Last(Op::kReady), Readiness::kHangup));
  PumpFor(std::chrono::milliseconds(10));
  ExpectSilence();
  Unwatch(source);
}

TEST_P(NoEdgeTest, EdgesAreRefusedNamingTheBackend) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(Fd(pair.ours.get()));
  const absl::Status status = backend().Watch(source, Readiness::kReadable, Trigger::kEdge);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(status.message().find(std::string(BackendName(GetParam()))), std::string::npos)
      << status;
  // The source is as good as before.
  ASSERT_TRUE(backend().Watch(source, Readiness::kWritable, Trigger::kLevel).ok());
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kReady) > 0; }));
  Unwatch(source);
}

}  // namespace
}  // namespace quintet::testing
