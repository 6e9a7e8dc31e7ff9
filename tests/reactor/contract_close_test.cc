// The contract of Backend: closing, and events that come too late.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/backend_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using CloseTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, CloseTest, AllBackends(), KindName);

TEST_P(CloseTest, ClosedComesOnceAndTheDescriptorIsGoneThen) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  const int fd = source.fd();
  bool open_at_closed = true;
  source.then = [&](const Completion&) { open_at_closed = IsOpen(fd); };
  EXPECT_EQ(backend().attached_sources(), 1U);
  backend().Close(source, CloseMode::kClose);
  backend().Close(source, CloseMode::kReset);
  EXPECT_EQ(source.records().size(), 0U) << "Close() completed inside the call";
  EXPECT_TRUE(source.attached());
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
  EXPECT_FALSE(open_at_closed);
  EXPECT_FALSE(source.attached());
  EXPECT_EQ(source.Last(Op::kClosed), 0);
  EXPECT_EQ(backend().attached_sources(), 0U);
  int error = -1;
  ReceiveToEnd(pair.peer.get(), &error);
  EXPECT_EQ(error, 0) << "the second Close() must not change the first";
  ExpectSilence();
  EXPECT_EQ(source.records().size(), 1U);
}

TEST_P(CloseTest, WithEverythingInFlightOnlyClosedFollows) {
  SocketPair pair = MakeTcpPair();
  FillSocket(pair.ours.get());
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  auto bytes = std::make_unique<std::string>("in flight");
  auto vector = std::make_unique<iovec>(iovec{bytes->data(), bytes->size()});
  backend().StartSend(source, {vector.get(), 1});
  Turn(kPollOnly);
  ASSERT_EQ(source.records().size(), 0U);
  ASSERT_TRUE(SendAll(pair.peer.get(), "unread"));
  backend().Close(source, CloseMode::kClose);
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
  EXPECT_EQ(source.records().size(), 1U);
  // The kernel has no pointer to any of it: freed at once, for a sanitizer to watch.
  DestroySource(source);
  bytes.reset();
  vector.reset();
  ExpectSilence();
}

TEST_P(CloseTest, WhatWasStartedAfterCloseDoesNothing) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  ASSERT_TRUE(SendAll(pair.peer.get(), "data"));
  backend().Close(source, CloseMode::kClose);
  backend().StartRecv(source);
  backend().StopRecv(source);
  Send(source, "x");
  backend().ShutdownSend(source);
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
  ExpectSilence();
  EXPECT_EQ(source.records().size(), 1U);
}

TEST_P(CloseTest, CompletionsNotYetDeliveredAreDropped) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Send(source, "sent");
  ASSERT_TRUE(SendAll(pair.peer.get(), "received"));
  backend().Wait(clock().Now() + kPatience);
  backend().Close(source, CloseMode::kClose);
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
  EXPECT_EQ(source.records().size(), 1U);
}

TEST_P(CloseTest, FromInsideItsOwnCallback) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  source.then = [&](const Completion& completion) {
    if (completion.op == Op::kRecv) backend().Close(source, CloseMode::kClose);
  };
  ASSERT_TRUE(SendAll(pair.peer.get(), PatternBytes(300'000)));
  ASSERT_TRUE(PumpUntil([&] { return source.closed(); }));
  EXPECT_EQ(source.records().size(), 2U);
}

TEST_P(CloseTest, WithUnreadInputResetsAndAfterDrainEndsTheStream) {
  for (const bool drained : {false, true}) {
    SocketPair pair = MakeTcpPair();
    RecordingSource& source = AddSource(std::move(pair.ours));
    ASSERT_TRUE(SendAll(pair.peer.get(), "data"));
    if (drained) {
      backend().StartRecv(source);
      ASSERT_TRUE(PumpUntil([&] { return source.received() == "data"; }));
    } else {
      Turn(kPollOnly);
    }
    CloseAndPump(source);
    int error = -1;
    ReceiveToEnd(pair.peer.get(), &error);
    EXPECT_EQ(error, drained ? 0 : ECONNRESET);
  }
}

TEST_P(CloseTest, ResetModeResets) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Turn(kPollOnly);
  CloseAndPump(source, CloseMode::kReset);
  int error = -1;
  ReceiveToEnd(pair.peer.get(), &error);
  EXPECT_EQ(error, ECONNRESET);
}

TEST_P(CloseTest, PeerSeesTheEndByTheTimeOfClosed) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Turn(kPollOnly);
  CloseAndPump(source);
  char byte;
  SetTimeouts(pair.peer.get(), std::chrono::seconds(5));
  EXPECT_EQ(::recv(pair.peer.get(), &byte, 1, 0), 0);
}

TEST_P(CloseTest, KeepModeGivesTheDescriptorBack) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& first = AddSource(std::move(pair.ours));
  const int fd = first.fd();
  backend().StartRecv(first);
  ASSERT_TRUE(SendAll(pair.peer.get(), "one"));
  ASSERT_TRUE(PumpUntil([&] { return first.received() == "one"; }));
  CloseAndPump(first, CloseMode::kKeep);
  EXPECT_EQ(first.fd(), fd);
  ASSERT_TRUE(IsOpen(fd));
  // Usable by hand ...
  ASSERT_TRUE(SendAll(pair.peer.get(), "two"));
  EXPECT_EQ(ReceiveExactly(fd, 3), "two");
  // ... and by another source.
  RecordingSource& second = AddSource(Fd(fd));
  backend().StartRecv(second);
  ASSERT_TRUE(SendAll(pair.peer.get(), "three"));
  ASSERT_TRUE(PumpUntil([&] { return second.received() == "three"; }));
  EXPECT_EQ(first.received(), "one");
}

TEST_P(CloseTest, CloseAllClosesSocketsAndKeepsWatchedDescriptors) {
  SocketPair owned = MakeTcpPair();
  SocketPair watched = MakeUnixPair();
  SocketPair paused = MakeUnixPair();
  RecordingSource& a = AddSource(std::move(owned.ours));
  RecordingSource& b = AddSource(Fd(watched.ours.get()));
  RecordingSource& c = AddSource(Fd(paused.ours.get()));
  backend().StartRecv(a);
  ASSERT_TRUE(backend().Watch(b, Readiness::kReadable, Trigger::kLevel).ok());
  ASSERT_TRUE(backend().Watch(c, Readiness::kReadable, Trigger::kLevel).ok());
  Turn(kPollOnly);
  ASSERT_TRUE(backend().Watch(c, Readiness::kNone, Trigger::kLevel).ok());
  const int fd = a.fd();
  backend().CloseAll();
  EXPECT_TRUE(PumpUntil([&] { return backend().attached_sources() == 0; }));
  EXPECT_TRUE(a.closed() && b.closed() && c.closed());
  EXPECT_FALSE(IsOpen(fd));
  EXPECT_TRUE(IsOpen(watched.ours.get()));
  EXPECT_TRUE(IsOpen(paused.ours.get()));
  if (!IsOpen(watched.ours.get())) watched.ours.Release();
  if (!IsOpen(paused.ours.get())) paused.ours.Release();
}

// Both sources are ready in one batch; the first one's callback closes the second, and a new socket
// takes the number. What the kernel said of the old one must not reach the new one.
TEST_P(CloseTest, EventOfAClosedDescriptorDoesNotReachTheNextOwnerOfItsNumber) {
  const int rounds = Scaled(2000);
  SocketPair idle = MakeUnixPair();
  int reused = 0;
  for (int round = 0; round < rounds; ++round) {
    SocketPair pairs[2] = {MakeUnixPair(), MakeUnixPair()};
    RecordingSource* sources[2];
    RecordingSource* next = nullptr;
    for (int i = 0; i < 2; ++i) {
      sources[i] = &AddSource(std::move(pairs[i].ours));
      backend().StartRecv(*sources[i]);
    }
    for (int i = 0; i < 2; ++i) {
      sources[i]->then = [&, i](const Completion& completion) {
        if (completion.op != Op::kRecv || next != nullptr) return;
        RecordingSource& victim = *sources[1 - i];
        const int number = victim.fd();
        backend().Close(victim, CloseMode::kClose);
        Fd fd(::fcntl(idle.ours.get(), F_DUPFD_CLOEXEC, number));
        if (fd.get() == number) ++reused;
        next = &NewSource(std::move(fd));
        const absl::Status added = backend().Add(*next);
        ASSERT_TRUE(added.ok()) << added;
        backend().StartRecv(*next);
      };
    }
    Turn(kPollOnly);
    for (SocketPair& pair : pairs) ASSERT_TRUE(SendAll(pair.peer.get(), "event"));
    ASSERT_TRUE(PumpUntil(
        [&] { return next != nullptr && (sources[0]->closed() || sources[1]->closed()); }));
    Turn(kPollOnly);
    ASSERT_EQ(next->records().size(), 0U);
    RecordingSource& victim = sources[0]->closed() ? *sources[0] : *sources[1];
    ASSERT_EQ(victim.records().size(), 1U);
    RecordingSource& other = &victim == sources[0] ? *sources[1] : *sources[0];
    CloseAndPump(other);
    CloseAndPump(*next);
    DestroySource(*sources[0]);
    DestroySource(*sources[1]);
    DestroySource(*next);
  }
  if (GetParam() != BackendKind::kIoUring) {
    EXPECT_EQ(reused, rounds);
  }
  EXPECT_GT(backend().stats().stale_events, 0U);
}

TEST_P(CloseTest, NoEventAfterCloseAlthoughADuplicateLivesInAChild) {
  SocketPair pair = MakeUnixPair();
  int control[2];
  ASSERT_EQ(::pipe2(control, O_CLOEXEC), 0);
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Turn(kPollOnly);
  const pid_t child = ::fork();
  if (child == 0) {
    // Holds a copy of every descriptor until the parent lets go of the pipe.
    ::close(control[1]);
    char byte;
    while (::read(control[0], &byte, 1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }
  ASSERT_GT(child, 0);
  CloseAndPump(source);
  EXPECT_TRUE(SendAll(pair.peer.get(), "to the child only"));
  ExpectSilence(std::chrono::milliseconds(150));
  EXPECT_EQ(source.records().size(), 1U);
  ::close(control[0]);
  ::close(control[1]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_P(CloseTest, NoEventAfterCloseAlthoughADuplicateLivesInThisProcess) {
  SocketPair pair = MakeUnixPair();
  const Fd copy(::fcntl(pair.ours.get(), F_DUPFD_CLOEXEC, 0));
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Turn(kPollOnly);
  CloseAndPump(source);
  ASSERT_TRUE(SendAll(pair.peer.get(), "for the copy"));
  ExpectSilence();
  EXPECT_EQ(ReceiveExactly(copy.get(), 12), "for the copy");
}

TEST_P(CloseTest, RandomClosePointsLoseNothingAndLeakNothing) {
  uint32_t random = 12345;
  const auto draw = [&random](uint32_t bound) {
    random = random * 1664525 + 1013904223;
    return (random >> 8) % bound;
  };
  for (int round = 0; round < Scaled(1000); ++round) {
    SocketPair pair = draw(2) == 0 ? MakeUnixPair() : MakeTcpPair();
    RecordingSource& source = AddSource(std::move(pair.ours));
    const std::string output = PatternBytes(1 + draw(draw(2) == 0 ? 400'000 : 10'000));
    const iovec vector{const_cast<char*>(output.data()), output.size()};
    if (draw(2) == 0) backend().StartRecv(source);
    if (draw(2) == 0)
      backend().StartSend(source, {&vector, 1});
    else if (draw(2) == 0)
      backend().StartLazySend(source, {&vector, 1});
    if (draw(2) == 0) Turn(kPollOnly);
    if (draw(2) == 0) {
      ASSERT_TRUE(SendAll(pair.peer.get(), "input"));
    }
    if (draw(2) == 0) backend().Wait(kPollOnly);
    if (draw(3) == 0) pair.peer.Reset();
    const CloseMode mode = draw(2) == 0 ? CloseMode::kClose : CloseMode::kReset;
    CloseAndPump(source, mode);
    ASSERT_EQ(source.records().back().op, Op::kClosed);
    ASSERT_EQ(source.Count(Op::kClosed), 1U);
    DestroySource(source);
  }
  ExpectSilence();
}

}  // namespace
}  // namespace quintet::testing
