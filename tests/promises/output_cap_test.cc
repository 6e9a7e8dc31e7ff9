// Promise 11: what a connection holds back for a slow peer never exceeds its cap, and the marks
// fire once for each crossing.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "tests/promises/promise_fixture.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

constexpr size_t kKiB = 1 << 10;
constexpr size_t kHighMark = 64 * kKiB;
constexpr size_t kLowMark = 16 * kKiB;
constexpr size_t kCap = 256 * kKiB;

constexpr ConnectionOptions kMarks = {
    .output_high_mark = kHighMark, .output_low_mark = kLowMark, .output_cap = kCap};

// A small, fixed send buffer: else the kernel would grow it to megabytes before it says stop.
Fd WithSmallBuffers(Fd fd) {
  const int size = 16 << 10;
  EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
  return fd;
}

class OutputCapTest : public PromiseTest {};

TEST_P(OutputCapTest, SessionThatIgnoresTheMarksIsClosedAtTheCap) {
  MakeGroup(kMarks);
  CloseReason reason = CloseReason::kNone;
  size_t peak = 0;
  SocketPair pair = MakeTcpPair();
  Connection* const connection =
      Adopt(WithSmallBuffers(std::move(pair.ours)),
            MakeSession({.on_closed = [&](ScriptedSession&, CloseReason why) { reason = why; }}));
  const std::string piece(5000, 'x');
  ASSERT_TRUE(RunUntil([&] {
    // Until it closes, and once more after that: then it must do nothing.
    connection->Write(piece);
    peak = std::max(peak, connection->output_bytes());
    return connection->close_reason() != CloseReason::kNone;
  }));
  connection->Write(piece);
  EXPECT_EQ(connection->close_reason(), CloseReason::kOutputLimit);
  EXPECT_LE(peak, kCap);
  EXPECT_GT(peak, kCap - 2 * piece.size()) << "closed long before its cap";
  EXPECT_EQ(reason, CloseReason::kNone) << "OnClosed() came from inside Write()";
  ASSERT_TRUE(RunUntil([&] { return reason != CloseReason::kNone; }));
  EXPECT_EQ(reason, CloseReason::kOutputLimit);
  int error = 0;
  ReceiveToEnd(pair.peer.get(), &error);
  EXPECT_EQ(error, ECONNRESET) << "an incomplete reply must not look complete";
}

TEST_P(OutputCapTest, OneWriteAboveTheCapClosesToo) {
  MakeGroup(kMarks);
  CloseReason reason = CloseReason::kNone;
  const Fd client =
      Connect(MakeSession({.on_open =
                               [](ScriptedSession& session) {
                                 session.transport().Write(std::string(kCap + 1, 'x'));
                                 EXPECT_EQ(session.transport().output_bytes(), 0U);
                               },
                           .on_closed = [&](ScriptedSession&, CloseReason why) { reason = why; }}));
  ASSERT_TRUE(RunUntil([&] { return reason != CloseReason::kNone; }));
  EXPECT_EQ(reason, CloseReason::kOutputLimit);
}

TEST_P(OutputCapTest, MarksFireOncePerCrossing) {
  MakeGroup(kMarks);
  constexpr int kCycles = 20;
  int crossings = 0;
  int drained = 0;
  size_t written = 0;
  const std::string piece(1000, 'x');
  // Writes until the high mark is crossed, then waits to be told.
  const auto fill = [&](ScriptedSession& session) {
    Transport& transport = session.transport();
    ASSERT_FALSE(transport.output_blocked());
    while (!transport.output_blocked()) {
      EXPECT_LE(transport.output_bytes(), kHighMark);
      transport.Write(piece);
      written += piece.size();
    }
    EXPECT_GT(transport.output_bytes(), kHighMark);
    ++crossings;
    transport.Write(piece);  // above the mark, without crossing it again
    written += piece.size();
  };
  SocketPair pair = MakeTcpPair();
  Adopt(WithSmallBuffers(std::move(pair.ours)),
        MakeSession({.on_open = fill, .on_output_drained = [&](ScriptedSession& session) {
                       ++drained;
                       EXPECT_EQ(drained, crossings);
                       EXPECT_LE(session.transport().output_bytes(), kLowMark);
                       if (crossings < kCycles) fill(session);
                     }}));
  SetNonBlocking(pair.peer.get());
  size_t received = 0;
  std::vector<char> buffer(8 << 10);
  ASSERT_TRUE(RunUntil([&] {
    const ssize_t bytes = ::recv(pair.peer.get(), buffer.data(), buffer.size(), 0);
    if (bytes > 0) received += static_cast<size_t>(bytes);
    return drained == kCycles && received == written;
  })) << drained
      << " of " << kCycles << " cycles";
  EXPECT_EQ(crossings, kCycles);
}

TEST_P(OutputCapTest, OutputBelowTheHighMarkFiresNothing) {
  MakeGroup(kMarks);
  int drained = 0;
  Connection* connection = nullptr;
  const Fd client = Connect(
      MakeSession({.on_output_drained = [&](ScriptedSession&) { ++drained; }}), &connection);
  for (int i = 0; i < 20; ++i) {
    connection->Write(std::string(kHighMark, 'x'));
    EXPECT_FALSE(connection->output_blocked());
    const size_t expected = kHighMark;
    size_t received = 0;
    std::vector<char> buffer(kHighMark);
    ASSERT_TRUE(RunUntil([&] {
      const ssize_t bytes = ::recv(client.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (bytes > 0) received += static_cast<size_t>(bytes);
      return received == expected;
    }));
  }
  EXPECT_EQ(drained, 0);
}

size_t ResidentBytes() {
  size_t total = 0;
  size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

// Clients that send for ever and read nothing: the high mark stops the receiving, the peer's own
// buffers fill, and memory stays where it is until the write-stall deadline ends them.
TEST_P(OutputCapTest, ClientsThatNeverReadCostBoundedMemoryAndEndByTheirDeadline) {
  constexpr size_t kClients = 16;
  ConnectionOptions options = kMarks;
  options.write_stall_timeout = std::chrono::milliseconds(700);
  MakeGroup(options);
  std::vector<CloseReason> reasons;
  ScriptedSession::Script script = EchoScript();
  script.on_closed = [&](ScriptedSession&, CloseReason why) { reasons.push_back(why); };
  std::vector<Connection*> connections;
  std::vector<Fd> clients;
  for (size_t i = 0; i < kClients; ++i) {
    SocketPair pair = MakeTcpPair();
    connections.push_back(Adopt(WithSmallBuffers(std::move(pair.ours)), MakeSession(script)));
    clients.push_back(std::move(pair.peer));
  }
  const size_t before = ResidentBytes();
  size_t peak_output = 0;
  size_t peak_resident = before;
  size_t sent = 0;
  ASSERT_TRUE(RunUntil([&] {
    for (size_t i = 0; i < clients.size(); ++i) sent += FillSocket(clients[i].get());
    if (reasons.empty()) {
      for (const Connection* connection : connections) {
        peak_output = std::max(peak_output, connection->output_bytes());
      }
    }
    peak_resident = std::max(peak_resident, ResidentBytes());
    return reasons.size() == kClients;
  })) << reasons.size()
      << " of " << kClients << " ended";
  for (const CloseReason reason : reasons) EXPECT_EQ(reason, CloseReason::kWriteStall);
  EXPECT_GT(sent, kClients * kHighMark) << "nobody reached the mark";
  // One receive beyond the mark may have been on its way.
  EXPECT_LE(peak_output, kHighMark + 128 * kKiB);
  if (!kAddressSanitizer && !kThreadSanitizer) {
    // For each: two halves of output, rounded up to blocks, and input that came after the stop.
    EXPECT_LE(peak_resident - before, kClients * 1024 * kKiB);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, OutputCapTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
