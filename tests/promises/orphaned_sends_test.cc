// Promise 3, for the bytes: memory that a send in flight may still be read from is not used again,
// whatever is destroyed. The kernel's reads are invisible to AddressSanitizer; what a peer gets is
// not.
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

constexpr size_t kSends = 16;
// Fills a block of the pool, and is more than the two sockets hold between them. Allocators keep
// blocks of this size for the next taker; larger ones may go back to the kernel.
constexpr size_t kBlockBytes = 64 << 10;
constexpr size_t kOutputBytes = kBlockBytes - 100;
constexpr int kBufferBytes = 8 << 10;
// What overwrites memory: no part of a pattern is like it.
constexpr char kScribble = '\xee';

// As MakeTcpPair(), with small buffers; those of the receiver must be so before it connects.
SocketPair MakeNarrowPair() {
  const TestListener listener = MakeListener(1);
  SocketPair pair{Fd(), Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  SetTimeouts(pair.peer.get(), kPeerTimeout);
  const auto shrink = [](const Fd& fd, int name) {
    EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, name, &kBufferBytes, sizeof(kBufferBytes)), 0);
  };
  shrink(pair.peer, SO_RCVBUF);
  EXPECT_TRUE(testing::Connect(pair.peer.get(),
                               reinterpret_cast<const sockaddr*>(&listener.address),
                               sizeof(listener.address)));
  pair.ours = Fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_TRUE(pair.ours) << errno;
  shrink(pair.ours, SO_SNDBUF);
  return pair;
}

class OrphanedSendsTest : public PromiseTest {
 protected:
  void SetUp() override {
    PromiseTest::SetUp();
    EventLoopOptions options = LoopOptions();
    // With room for one submission, those before a cancellation are flushed by the next one, and
    // the kernel goes on with every send that found room meanwhile: the sends of connections that
    // are closed already, but not yet cancelled. Readiness backends copy inside send(2), and have
    // nothing in flight behind it: for them the bytes can only be right.
    options.backend.uring = {.sq_entries = 1, .cq_entries = 256};
    auto loop = EventLoop::Create(std::move(options));
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    ASSERT_EQ(loop_->backend().kind(), GetParam());
    group_ = std::make_unique<ConnectionGroup>(*loop_, ConnectionOptions{});
  }
  void TearDown() override {
    group_.reset();
    loop_.reset();
    streams_.clear();
    PromiseTest::TearDown();
  }

  // Connections that each have a send in flight, for which the kernel has found room since the
  // loop last ran.
  void StartSends() {
    for (size_t i = 0; i < kSends; ++i) {
      SocketPair pair = MakeNarrowPair();
      Stream& stream = streams_.emplace_back();
      stream.peer = std::move(pair.peer);
      stream.sent = PatternBytes(kOutputBytes, static_cast<uint32_t>(i + 1));
      stream.our_fd = pair.ours.get();
      stream.connection = Adopt(std::move(pair.ours));
      stream.connection->Write(stream.sent);
    }
    for (int turn = 0; turn < 20; ++turn) loop_->RunOnce(std::chrono::milliseconds(1));
    for (Stream& stream : streams_) {
      ASSERT_GT(stream.connection->output_bytes(), 0U) << "nothing is in flight";
      ASSERT_TRUE(DrainSocket(stream));
    }
  }

  Connection* Adopt(Fd fd) {
    auto connection = group_->Adopt(Socket(fd.Release()), MakeSession({}));
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *connection;
  }

  // Reads until the end of each stream, while the loop turns.
  void ExpectPrefixes() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (size_t open = kSends; open > 0;) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << open << " streams never ended";
      loop_->RunOnce(std::chrono::milliseconds(1));
      for (Stream& stream : streams_) {
        if (!stream.ended && Read(stream)) --open;
      }
    }
    for (const Stream& stream : streams_) {
      EXPECT_EQ(stream.error, ECONNRESET) << "Abort() resets";
      EXPECT_LT(stream.received.size(), stream.sent.size()) << "the send was not cut off";
      EXPECT_TRUE(stream.sent.starts_with(stream.received))
          << "scribbled bytes: "
          << std::count(stream.received.begin(), stream.received.end(), kScribble) << " of "
          << stream.received.size();
    }
  }

  EventLoop& loop() { return *loop_; }
  std::unique_ptr<ConnectionGroup>& group() { return group_; }

 private:
  struct Stream {
    Fd peer;
    int our_fd = -1;
    Connection* connection = nullptr;
    std::string sent;
    std::string received;
    bool ended = false;
    int error = 0;
  };

  // Takes what is there; true at the end.
  static bool Read(Stream& stream) {
    char chunk[16 << 10];
    for (;;) {
      const ssize_t count = ::recv(stream.peer.get(), chunk, sizeof(chunk), MSG_DONTWAIT);
      if (count > 0) {
        stream.received.append(chunk, static_cast<size_t>(count));
        continue;
      }
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
      stream.ended = true;
      stream.error = count < 0 ? errno : 0;
      return true;
    }
  }

  // Until everything that our socket holds has arrived.
  static bool DrainSocket(Stream& stream) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (int unsent = 1; unsent > 0;) {
      if (Read(stream) || std::chrono::steady_clock::now() > deadline) return false;
      if (::ioctl(stream.our_fd, SIOCOUTQ, &unsent) != 0) return false;
    }
    return !Read(stream);
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ConnectionGroup> group_;
  std::vector<Stream> streams_;
};

TEST_P(OrphanedSendsTest, GroupDestroyedAndItsMemoryAllocatedAnew) {
  ASSERT_NO_FATAL_FAILURE(StartSends());
  group().reset();
  // A byte less: a string adds its terminator.
  const std::vector<std::string> others(4 * kSends, std::string(kBlockBytes - 1, kScribble));
  ExpectPrefixes();
}

TEST_P(OrphanedSendsTest, ConnectionsAbortedAndTheirBlocksWantedByOthers) {
  ASSERT_NO_FATAL_FAILURE(StartSends());
  group()->AbortAll(CloseReason::kAborted);
  std::vector<Fd> peers;
  for (size_t i = 0; i < kSends; ++i) {
    SocketPair pair = MakeTcpPair();
    peers.push_back(std::move(pair.peer));
    Adopt(std::move(pair.ours))->Write(std::string(kOutputBytes, kScribble));
  }
  ExpectPrefixes();
}

INSTANTIATE_TEST_SUITE_P(Backends, OrphanedSendsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
