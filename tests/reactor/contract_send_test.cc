// The contract of Backend: sending.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/backend_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using SendTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, SendTest, AllBackends(), KindName);

TEST_P(SendTest, SmallSendIsTakenWhole) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  Send(source, "hello");
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), 5);
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), 5), "hello");
  ExpectSilence();
}

// What SendNow() takes it has sent, in order with what follows; what it does not take, StartSend()
// does. io_uring leaves all of it to StartSend().
TEST_P(SendTest, SendNowIsASendWithoutCompletion) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  std::string parts[] = {"one ", "", "two "};
  const iovec vectors[] = {{parts[0].data(), 4}, {parts[1].data(), 0}, {parts[2].data(), 4}};
  const size_t taken = backend().SendNow(source, vectors);
  EXPECT_EQ(taken, GetParam() == BackendKind::kIoUring ? 0U : 8U);
  ExpectSilence();
  EXPECT_EQ(source.records().size(), 0U);
  Send(source, "three");
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), taken + 5), taken > 0 ? "one two three" : "three");
}

TEST_P(SendTest, SendNowTakesNothingWhereSendingWaitsOrFails) {
  SocketPair pair = MakeTcpPair();
  FillSocket(pair.ours.get());
  RecordingSource& source = AddSource(std::move(pair.ours));
  std::string text = "later";
  const iovec vector{text.data(), text.size()};
  EXPECT_EQ(backend().SendNow(source, {&vector, 1}), 0U);
  ExpectSilence();

  SocketPair ended = MakeTcpPair();
  RecordingSource& shut = AddSource(std::move(ended.ours));
  backend().ShutdownSend(shut);
  EXPECT_EQ(backend().SendNow(shut, {&vector, 1}), 0U);
  Send(shut, text);
  ASSERT_TRUE(PumpUntil([&] { return shut.Count(Op::kSend) == 1; }));
  EXPECT_EQ(shut.Last(Op::kSend), -EPIPE);

  CloseAndPump(source);
}

// The socket tells such an error once; whoever meets it, the completion tells it.
TEST_P(SendTest, ErrorThatSendNowMeetsIsToldByStartSend) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  Reset(pair.peer);
  pollfd poll{.fd = source.fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&poll, 1, 20'000), 1);
  std::string text = "anybody there?";
  const iovec vector{text.data(), text.size()};
  EXPECT_EQ(backend().SendNow(source, {&vector, 1}), 0U);
  EXPECT_EQ(backend().SendNow(source, {&vector, 1}), 0U);
  Send(source, text);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), -ECONNRESET);
  Send(source, text);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 2; }));
  EXPECT_EQ(source.Last(Op::kSend), -EPIPE);
}

TEST_P(SendTest, GathersAllBuffersInOrder) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  std::array<std::string, Backend::kMaxSendBuffers> parts;
  std::array<iovec, Backend::kMaxSendBuffers> vectors;
  std::string expected;
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i] = std::string(i % 3, static_cast<char>('a' + i));  // some are empty
    vectors[i] = {parts[i].data(), parts[i].size()};
    expected += parts[i];
  }
  backend().StartSend(source, vectors);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), static_cast<int32_t>(expected.size()));
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), expected.size()), expected);
}

TEST_P(SendTest, FullSocketMakesSendWaitAndNothingIsLost) {
  for (const bool unix_socket : {false, true}) {
    SocketPair pair = unix_socket ? MakeUnixPair() : MakeTcpPair();
    const size_t before = FillSocket(pair.ours.get());
    RecordingSource& source = AddSource(std::move(pair.ours));
    Send(source, "after the flood");
    ExpectSilence();
    EXPECT_EQ(source.Count(Op::kSend), 0U);
    std::thread reader([&] {
      EXPECT_EQ(ReceiveExactly(pair.peer.get(), before).size(), before);
      EXPECT_EQ(ReceiveExactly(pair.peer.get(), 15), "after the flood");
    });
    EXPECT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
    EXPECT_EQ(source.Last(Op::kSend), 15);
    reader.join();
    ExpectSilence();
  }
}

TEST_P(SendTest, LargeSendMayBeShortButIsNeverZero) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  const std::string bytes = PatternBytes(static_cast<size_t>(Scaled(32)) << 20, 3);
  std::string got;
  std::thread reader([&] { got = ReceiveExactly(pair.peer.get(), bytes.size()); });
  EXPECT_TRUE(SendFully(source, bytes));
  if (HasFailure()) ::shutdown(source.fd(), SHUT_RDWR);
  reader.join();
  EXPECT_TRUE(got == bytes);
  for (const auto& record : source.records()) EXPECT_GT(record.result, 0);
}

TEST_P(SendTest, ThousandsOfSmallSendsKeepTheirOrder) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  std::string expected;
  std::string got;
  const int count = Scaled(5000);
  for (int i = 0; i < count; ++i) expected += std::to_string(i) + ",";
  std::thread reader([&] { got = ReceiveExactly(pair.peer.get(), expected.size()); });
  for (int i = 0; i < count; ++i) {
    const std::string piece = std::to_string(i) + ",";
    if (!SendFully(source, piece)) {
      ADD_FAILURE() << "send " << i;
      ::shutdown(source.fd(), SHUT_RDWR);
      break;
    }
  }
  reader.join();
  EXPECT_EQ(got, expected);
}

TEST_P(SendTest, SendToAClosedPeerIsAnErrorNumberAndNoSignal) {
  struct sigaction disposition;
  ASSERT_EQ(::sigaction(SIGPIPE, nullptr, &disposition), 0);
  ASSERT_EQ(disposition.sa_handler, SIG_DFL) << "a SIGPIPE would go unnoticed";
  for (const bool unix_socket : {false, true}) {
    SocketPair pair = unix_socket ? MakeUnixPair() : MakeTcpPair();
    RecordingSource& source = AddSource(std::move(pair.ours));
    pair.peer.Reset();
    int32_t result = 1;
    for (int i = 0; i < 1000 && result > 0; ++i) {
      const size_t before = source.Count(Op::kSend);
      Send(source, "anybody there?");
      ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) > before; }));
      result = *source.Last(Op::kSend);
    }
    EXPECT_TRUE(result == -EPIPE || result == -ECONNRESET) << result;
    EXPECT_FALSE(source.closed());
    // Again, from the state after the error, with several buffers.
    std::string part = "gone";
    const iovec vectors[] = {{part.data(), 2}, {part.data() + 2, 2}};
    const size_t before = source.Count(Op::kSend);
    backend().StartSend(source, vectors);
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) > before; }));
    EXPECT_EQ(source.Last(Op::kSend), -EPIPE);
  }
  ASSERT_EQ(::sigaction(SIGPIPE, nullptr, &disposition), 0);
  EXPECT_EQ(disposition.sa_handler, SIG_DFL);
}

TEST_P(SendTest, SendAfterOurOwnShutdownIsEpipe) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().ShutdownSend(source);
  Send(source, "too late");
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), -EPIPE);
}

TEST_P(SendTest, ResetEndsAWaitingSendAndTheReceiveOnceEach) {
  SocketPair pair = MakeTcpPair();
  FillSocket(pair.ours.get());
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Send(source, "never sent");
  Turn(kPollOnly);
  ASSERT_EQ(source.records().size(), 0U);
  Reset(pair.peer);
  ASSERT_TRUE(PumpUntil([&] { return source.ended() && source.Count(Op::kSend) == 1; }));
  // The error is told to one direction; the other finds the socket without it.
  const int32_t received = *source.Last(Op::kRecv);
  const int32_t sent = *source.Last(Op::kSend);
  EXPECT_TRUE(received == -ECONNRESET || received == 0) << received;
  EXPECT_TRUE(sent == -ECONNRESET || sent == -EPIPE) << sent;
  ExpectSilence();
  EXPECT_EQ(source.records().size(), 2U);
}

TEST_P(SendTest, SendErrorLeavesReceivingAlone) {
  SocketPair pair = MakeUnixPair();
  ASSERT_TRUE(SendAll(pair.peer.get(), "still to read"));
  ::shutdown(pair.peer.get(), SHUT_RD);
  RecordingSource& source = AddSource(std::move(pair.ours));
  Send(source, "nobody reads");
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), -EPIPE);
  backend().StartRecv(source);
  ASSERT_TRUE(PumpUntil([&] { return source.received() == "still to read"; }));
  EXPECT_FALSE(source.ended());
}

TEST_P(SendTest, ShutdownSendsEndOfFileBehindTheBytesAndReceivingGoesOn) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  ASSERT_TRUE(SendFully(source, "request"));
  backend().ShutdownSend(source);
  backend().ShutdownSend(source);
  Turn(kPollOnly);
  EXPECT_EQ(ReceiveToEnd(pair.peer.get()), "request");
  ASSERT_TRUE(SendAll(pair.peer.get(), "reply"));
  ASSERT_TRUE(PumpUntil([&] { return source.received() == "reply"; }));
  pair.peer.Reset();
  ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
  EXPECT_EQ(source.Last(Op::kRecv), 0);
}

// A peer that never stops sending must not keep our own output from leaving.
TEST_P(SendTest, FloodOfInputDoesNotStarveOutputOfTheSameSource) {
  SocketPair pair = MakeTcpPair();
  const size_t filled = FillSocket(pair.ours.get());
  RecordingSource& source = AddSource(std::move(pair.ours));
  std::atomic<bool> stop = false;
  std::thread flooder([&] {
    const std::string chunk(256 << 10, 'i');
    while (!stop && SendAll(pair.peer.get(), chunk)) {
    }
  });
  backend().StartRecv(source);
  EXPECT_TRUE(PumpUntil([&] { return source.received().size() > (1U << 20); }));
  Send(source, "out");
  Turn(kPollOnly);
  std::string got;
  std::thread reader([&] { got = ReceiveExactly(pair.peer.get(), filled + 3); });
  size_t at_send = 0;
  EXPECT_TRUE(PumpUntil([&] {
    at_send = source.Count(Op::kRecv);
    return source.Count(Op::kSend) == 1;
  }));
  EXPECT_TRUE(PumpUntil([&] { return source.Count(Op::kRecv) > at_send; }));
  stop = true;
  ::shutdown(source.fd(), SHUT_WR);
  reader.join();
  EXPECT_TRUE(PumpUntil([&] {
    const bool over = source.ended();
    if (!over) ::shutdown(source.fd(), SHUT_RD);
    return over;
  }));
  flooder.join();
  EXPECT_TRUE(got.ends_with("out"));
}

// The two directions of one source take turns: with both always ready, neither runs ahead.
TEST_P(SendTest, DirectionsOfOneSourceTakeTurns) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  std::atomic<bool> stop = false;
  std::thread flooder([&] {
    const std::string chunk(64 << 10, 'i');
    while (!stop && SendAll(pair.peer.get(), chunk)) {
    }
  });
  std::thread reader([&] {
    int error = 0;
    ReceiveToEnd(pair.peer.get(), &error);
  });
  const std::string message = PatternBytes(1000);
  const size_t rounds = static_cast<size_t>(Scaled(2000));
  source.then = [&](const Completion& completion) {
    if (completion.op == Op::kSend && source.Count(Op::kSend) < rounds) Send(source, message);
  };
  backend().StartRecv(source);
  Send(source, message);
  EXPECT_TRUE(PumpUntil(
      [&] { return source.Count(Op::kSend) >= rounds && source.Count(Op::kRecv) >= 100; }));
  stop = true;
  source.then = nullptr;
  // The sum of what comes until the end is bounded by what the flooder sends in one call.
  ::shutdown(source.fd(), SHUT_RDWR);
  flooder.join();
  reader.join();
}

}  // namespace
}  // namespace quintet::testing
