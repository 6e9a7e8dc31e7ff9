// The principal ways of a connection on real sockets, over each real backend.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "net/connection.h"
#include "net/connection_group.h"
#include "net/socket.h"
#include "reactor/event_loop.h"
#include "tests/net/scripted_session.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/backend_test.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using State = Connection::State;

class ConnectionBackendsTest : public DescriptorLeakTest,
                               public ::testing::WithParamInterface<BackendKind> {
 protected:
  void SetUp() override {
    if (!RequireBackend(GetParam())) return;
    EventLoopOptions loop_options;
    loop_options.backend.kind = GetParam();
    loop_options.backend.log = nullptr;
    loop = *EventLoop::Create(loop_options);
    ASSERT_EQ(loop->backend().kind(), GetParam());
  }
  void TearDown() override {
    peer.Reset();
    group.reset();
    loop.reset();
    DescriptorLeakTest::TearDown();
  }
  void Adopt() {
    group = std::make_unique<ConnectionGroup>(*loop, options);
    SocketPair pair = MakeTcpPair();
    peer = std::move(pair.peer);
    connection = *group->Adopt(Socket(pair.ours.Release()), NewSession(script));
  }
  [[nodiscard]] bool RunUntil(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done() && std::chrono::steady_clock::now() < end) loop->RunOnce(10ms);
    return done();
  }
  void ExpectClosed(CloseReason reason) {
    ASSERT_TRUE(RunUntil([this] { return script.closed(); }));
    EXPECT_EQ(CloseReasonName(script.reason), CloseReasonName(reason));
    ASSERT_TRUE(RunUntil([this] { return script.destroyed; }));
  }

  std::unique_ptr<EventLoop> loop;
  ConnectionOptions options;
  std::unique_ptr<ConnectionGroup> group;
  Connection* connection = nullptr;
  Fd peer;
  Script script;
};

TEST_P(ConnectionBackendsTest, EchoesMuchWithPausesAndPartialConsumption) {
  script.on_data = [](Transport& transport, std::string_view bytes) {
    const size_t consumed = bytes.size() > 1 ? bytes.size() - bytes.size() / 3 : 1;
    transport.Write(bytes.substr(0, consumed));
    return consumed;
  };
  Adopt();
  const std::string data = PatternBytes(2 << 20);
  std::thread sender([&] { EXPECT_TRUE(SendAll(peer.get(), data)); });
  std::string back;
  std::thread receiver([&] { back = ReceiveExactly(peer.get(), data.size()); });
  EXPECT_TRUE(RunUntil([&] {
    connection->ResumeReading();
    return script.received.size() == data.size() && connection->output_bytes() == 0;
  }));
  sender.join();
  receiver.join();
  EXPECT_TRUE(back == data);
}

TEST_P(ConnectionBackendsTest, HalfCloseStillGetsTheReply) {
  script.on_eof = [](Transport& transport) {
    transport.Write(std::string(1 << 20, 'r'));
    transport.Close();
  };
  Adopt();
  ASSERT_TRUE(SendAll(peer.get(), "request"));
  ::shutdown(peer.get(), SHUT_WR);
  std::string reply;
  int error = 0;
  std::thread receiver([&] { reply = ReceiveToEnd(peer.get(), &error); });
  ExpectClosed(CloseReason::kPeerClosed);
  receiver.join();
  EXPECT_EQ(reply.size(), size_t{1} << 20);
  EXPECT_EQ(error, 0);
  EXPECT_EQ(script.received, "request");
}

TEST_P(ConnectionBackendsTest, LingeringKeepsTheReplyReadable) {
  script.on_data = [](Transport& transport, std::string_view) -> size_t {
    transport.Write("refused");
    transport.Close();
    return 0;
  };
  Adopt();
  ASSERT_TRUE(SendAll(peer.get(), "some"));
  ASSERT_TRUE(RunUntil([this] { return connection->state() == State::kLingering; }));
  ASSERT_TRUE(SendAll(peer.get(), std::string(100'000, 'u')));  // nobody wants it, nobody minds
  loop->RunOnce(10ms);
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(peer.get(), &error), "refused");
  EXPECT_EQ(error, 0);
  peer.Reset();
  ExpectClosed(CloseReason::kLocal);
}

TEST_P(ConnectionBackendsTest, AbortResetsThePeer) {
  Adopt();
  connection->Abort(CloseReason::kAborted);
  ExpectClosed(CloseReason::kAborted);
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(peer.get(), &error), "");
  EXPECT_EQ(error, ECONNRESET);
}

TEST_P(ConnectionBackendsTest, ResetByThePeer) {
  Adopt();
  Reset(peer);
  ExpectClosed(CloseReason::kPeerReset);
}

TEST_P(ConnectionBackendsTest, AReaderThatStallsIsClosedAndMemoryIsBounded) {
  options.write_stall_timeout = 300ms;
  options.output_cap = 64 << 20;
  Adopt();
  connection->Write(std::string(32 << 20, 'x'));
  EXPECT_TRUE(connection->output_blocked());
  ExpectClosed(CloseReason::kWriteStall);
  int error = 0;
  ReceiveToEnd(peer.get(), &error);
  EXPECT_EQ(error, ECONNRESET) << "an incomplete reply must not look complete";
}

TEST_P(ConnectionBackendsTest, WatermarksOncePerCrossing) {
  Adopt();
  connection->Write(std::string(16 << 20, 'x'));
  std::thread receiver([&] { ReceiveExactly(peer.get(), 16 << 20); });
  EXPECT_TRUE(RunUntil([this] { return connection->output_bytes() == 0; }));
  receiver.join();
  EXPECT_EQ(script.Count("drained"), 1U);
}

// A multishot receive brings many buffers after it was told to stop. Shown all of them at once, a
// session that answers each byte would meet the cap on output before it met the mark.
TEST_P(ConnectionBackendsTest, KeptInputComesInPieces) {
  constexpr size_t kPiece = 64 << 10;
  constexpr int kReceiveBuffer = 200'000;
  script.on_open = [](Transport& transport) { transport.PauseReading(); };
  size_t largest = 0;
  Adopt();
  ASSERT_EQ(::setsockopt(connection->fd(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof(int)), 0);
  script.on_data = [&](Transport& transport, std::string_view bytes) {
    largest = std::max(largest, bytes.size());
    transport.PauseReading();
    return bytes.size();
  };
  const ConnectionCounters& counters = group->counters();
  size_t most_kept = 0;
  for (int round = 0; round < 20; ++round) {
    FillSocket(peer.get());
    connection->ResumeReading();
    for (int turn = 0; turn < 5; ++turn) loop->RunOnce(1ms);
    most_kept = std::max(most_kept, counters.bytes_in - script.received.size());
  }
  if (GetParam() == BackendKind::kIoUring) {
    EXPECT_GT(most_kept, kPiece) << "nothing could be seen";
  }
  EXPECT_LE(largest, kPiece);
}

TEST_P(ConnectionBackendsTest, DeadlineAndPausedReaderWithResetDoNotSpin) {
  script.on_open = [](Transport& transport) { transport.PauseReading(); };
  Adopt();
  connection->SetDeadline(std::chrono::steady_clock::now() + 300ms);
  ASSERT_TRUE(SendAll(peer.get(), "unread"));
  Reset(peer);
  ExpectClosed(CloseReason::kDeadline);
  EXPECT_LE(loop->stats().turns, 200U);
}

TEST_P(ConnectionBackendsTest, GroupAndLoopDestroyedWithOutputInFlight) {
  Adopt();
  connection->Write(std::string(8 << 20, 'x'));
  loop->RunOnce(0ms);
  group.reset();
  loop.reset();
  EXPECT_TRUE(script.destroyed);
  EXPECT_EQ(script.reason, CloseReason::kAborted);
}

TEST_P(ConnectionBackendsTest, PeerAddressIsThatOfTheOtherEndUntilItIsNamed) {
  Adopt();
  Socket borrowed(peer.get());
  const absl::StatusOr<Address> other_end = borrowed.LocalAddress();
  [[maybe_unused]] const int fd = borrowed.Release();
  ASSERT_TRUE(other_end.ok()) << other_end.status();
  absl::StatusOr<Address> address = connection->PeerAddress();
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->ToString(), other_end->ToString());
  const Address named = *Address::Parse("[2001:db8::1]:4711");
  connection->SetPeerAddress(named);
  EXPECT_EQ(*connection->PeerAddress(), named);
}

TEST_P(ConnectionBackendsTest, AClosedConnectionHasNoOtherEnd) {
  absl::StatusOr<Address> address = *Address::Parse("127.0.0.1:1");
  script.on_closed = [&](Transport& transport, CloseReason) { address = transport.PeerAddress(); };
  Adopt();
  connection->Abort(CloseReason::kAborted);
  ExpectClosed(CloseReason::kAborted);
  EXPECT_EQ(address.status().code(), absl::StatusCode::kUnavailable);
}

INSTANTIATE_TEST_SUITE_P(Backends, ConnectionBackendsTest, AllBackends(), KindName);

// Each time that there is room: one send that fills it and one that finds it full, not a third. On
// io_uring a send is a completion and no system call.
TEST_P(ConnectionBackendsTest, SlowReaderCostsTwoSendsForEachRoom) {
  Adopt();
  const int few_bytes = 4096;
  ASSERT_EQ(::setsockopt(connection->fd(), SOL_SOCKET, SO_SNDBUF, &few_bytes, sizeof(few_bytes)),
            0);
  const BackendStats before = loop->backend().stats();
  const std::string bytes(4 << 20, 'x');
  connection->Write(bytes);
  size_t received = 0;
  ASSERT_TRUE(RunUntil([&] {
    char buffer[64 << 10];
    const ssize_t got = ::recv(peer.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got > 0) received += static_cast<size_t>(got);
    return received == bytes.size();
  }));
  const BackendStats& after = loop->backend().stats();
  const uint64_t rooms = after.completions - before.completions;
  ASSERT_GE(rooms, 10U) << "the reader was not slow";
  EXPECT_LE(after.io_syscalls - before.io_syscalls, 2 * rooms + 2);
}

}  // namespace
}  // namespace quintet::testing
