// The contract of Backend: exhaustion and transient errors, injected below the library. For the
// readiness backends the system call functions are replaced by those of this file, which fail as
// often as a test asks for; for io_uring the ring is made too small.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/backend_test.h"

namespace {

// How often a call fails, with which error, before it works again; on the test's own thread only.
struct Fault {
  int count = 0;
  int error = 0;

  bool Take() {
    if (count == 0) return false;
    --count;
    errno = error;
    return true;
  }
};
thread_local std::map<std::string, Fault> faults;

bool Fails(const char* call) {
  const auto fault = faults.find(call);
  return fault != faults.end() && fault->second.Take();
}

}  // namespace

extern "C" {

int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  if (Fails("accept4")) return -1;
  return static_cast<int>(::syscall(SYS_accept4, fd, address, length, flags));
}

ssize_t recv(int fd, void* data, size_t size, int flags) {
  if ((flags & MSG_DONTWAIT) != 0 && Fails("recv")) return -1;
  return ::syscall(SYS_recvfrom, fd, data, size, flags, nullptr, nullptr);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  if ((flags & MSG_DONTWAIT) != 0 && Fails("send")) return -1;
  return ::syscall(SYS_sendto, fd, data, size, flags, nullptr, 0);
}

int epoll_ctl(int epoll_fd, int op, int fd, epoll_event* event) noexcept {
  if (op != EPOLL_CTL_DEL && Fails("epoll_ctl")) return -1;
  return static_cast<int>(::syscall(SYS_epoll_ctl, epoll_fd, op, fd, event));
}

}  // extern "C"

namespace quintet::testing {
namespace {

class FaultTest : public BackendTest {
 protected:
  void TearDown() override {
    faults.clear();
    BackendTest::TearDown();
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, FaultTest, ReadinessBackends(), KindName);

using EpollFaultTest = FaultTest;
INSTANTIATE_TEST_SUITE_P(Backends, EpollFaultTest,
                         ::testing::Values(BackendKind::kEpollLt, BackendKind::kEpollEt), KindName);

using SmallRingTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, SmallRingTest, ::testing::Values(BackendKind::kIoUring),
                         KindName);

TEST_P(FaultTest, TransientAcceptErrorsStopNoListener) {
  TestListener listener = MakeListener();
  RecordingSource& source = AddSource(std::move(listener.fd));
  backend().StartAccept(source);
  std::vector<Fd> clients;
  for (const int error : {ECONNABORTED, EINTR, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH}) {
    faults["accept4"] = {10, error};
    const size_t before = source.accepted().size();
    clients.push_back(ConnectTo(listener.address));
    ASSERT_TRUE(PumpUntil([&] { return source.accepted().size() == before + 1; })) << error;
    EXPECT_EQ(faults["accept4"].count, 0);
  }
  EXPECT_EQ(source.Count(Op::kAccept), clients.size());
  EXPECT_EQ(backend().stats().accept_retries, 60U);
}

TEST_P(FaultTest, ExhaustedAcceptIsDeliveredAndHealedByStart) {
  TestListener listener = MakeListener();
  RecordingSource& source = AddSource(std::move(listener.fd));
  const Fd client = ConnectTo(listener.address);
  int told = 0;
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    faults["accept4"] = {1, error};
    backend().StartAccept(source);
    ++told;
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kAccept) == static_cast<size_t>(told); }));
    EXPECT_EQ(source.Last(Op::kAccept), -error);
    ExpectSilence(std::chrono::milliseconds(30));
  }
  backend().StartAccept(source);
  ASSERT_TRUE(PumpUntil([&] { return source.accepted().size() == 1; }));
}

TEST_P(FaultTest, ReceiveWithoutMemoryIsTriedAgainNotEnded) {
  SocketPair pairs[2] = {MakeUnixPair(), MakeUnixPair()};
  for (const int error : {ENOBUFS, ENOMEM}) {
    SocketPair& pair = pairs[error == ENOMEM ? 1 : 0];
    RecordingSource& source = AddSource(std::move(pair.ours));
    backend().StartRecv(source);
    faults["recv"] = {3, error};
    const uint64_t retries = backend().stats().exhaustion_retries;
    const uint64_t waits = backend().stats().wait_syscalls;
    ASSERT_TRUE(SendAll(pair.peer.get(), "patience"));
    ASSERT_TRUE(PumpUntil([&] { return source.received() == "patience"; }));
    EXPECT_EQ(backend().stats().exhaustion_retries, retries + 3);
    EXPECT_LE(backend().stats().wait_syscalls - waits, 20U) << "the backend spins";
    ExpectSilence();
    EXPECT_EQ(source.Count(Op::kRecv), 1U);
  }
}

TEST_P(FaultTest, SendWithoutMemoryIsTriedAgainNotFailed) {
  std::vector<SocketPair> pairs;
  for (const int error : {ENOBUFS, ENOMEM, EINTR, EAGAIN}) {
    pairs.push_back(MakeUnixPair());
    SocketPair& pair = pairs.back();
    RecordingSource& source = AddSource(std::move(pair.ours));
    backend().StartRecv(source);
    // An edge comes once: a socket that is full twice without having been drained does not exist.
    faults["send"] = {error == EAGAIN ? 1 : 3, error};
    Send(source, "patience");
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; })) << error;
    EXPECT_EQ(source.Last(Op::kSend), 8);
    EXPECT_EQ(ReceiveExactly(pair.peer.get(), 8), "patience");
    // Receiving was not forgotten over it.
    ASSERT_TRUE(SendAll(pair.peer.get(), "answer"));
    ASSERT_TRUE(PumpUntil([&] { return source.received() == "answer"; })) << error;
    ExpectSilence();
  }
}

TEST_P(FaultTest, CloseWhileResting) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  faults["send"] = {1000, ENOBUFS};
  Send(source, "x");
  Turn(kPollOnly);
  CloseAndPump(source);
  EXPECT_EQ(source.records().size(), 1U);
  faults.clear();
  ExpectSilence();
}

TEST_P(EpollFaultTest, RegistrationWithoutRoomIsTriedAgain) {
  for (const int error : {ENOSPC, ENOMEM}) {
    std::vector<SocketPair> pairs;
    std::vector<RecordingSource*> sources;
    faults["epoll_ctl"] = {10, error};
    for (int i = 0; i < 20; ++i) {
      pairs.push_back(MakeUnixPair());
      sources.push_back(&AddSource(std::move(pairs.back().ours)));
      backend().StartRecv(*sources.back());
      ASSERT_TRUE(SendAll(pairs.back().peer.get(), "x"));
    }
    for (RecordingSource* source : sources) {
      ASSERT_TRUE(PumpUntil([&] { return source->received() == "x"; }));
    }
    for (SocketPair& pair : pairs) ASSERT_TRUE(SendAll(pair.peer.get(), "y"));
    for (RecordingSource* source : sources) {
      ASSERT_TRUE(PumpUntil([&] { return source->received() == "xy"; }));
    }
    EXPECT_GE(backend().stats().exhaustion_retries, 10U);
  }
}

TEST_P(SmallRingTest, TwoReceiveBuffersServeManyPeers) {
  MakeBackend({.sq_entries = 8, .cq_entries = 16, .recv_buffers = 2, .recv_buffer_bytes = 1024});
  const int count = 50;
  std::vector<SocketPair> pairs;
  std::vector<RecordingSource*> sources;
  std::vector<std::string> expected;
  for (int i = 0; i < count; ++i) {
    pairs.push_back(MakeUnixPair());
    sources.push_back(&AddSource(std::move(pairs.back().ours)));
    expected.push_back(PatternBytes(20'000, static_cast<uint32_t>(i + 1)));
    backend().StartRecv(*sources.back());
    ASSERT_TRUE(SendAll(pairs.back().peer.get(), expected.back()));
    pairs.back().peer.Reset();
  }
  for (int i = 0; i < count; ++i) {
    RecordingSource& source = *sources[static_cast<size_t>(i)];
    ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
    EXPECT_EQ(source.Last(Op::kRecv), 0);
    EXPECT_TRUE(source.received() == expected[static_cast<size_t>(i)]);
  }
  EXPECT_GT(backend().stats().buffer_starvation, 0U);
}

TEST_P(SmallRingTest, OverflownCompletionQueueLosesNothing) {
  MakeBackend({.sq_entries = 4, .cq_entries = 8, .recv_buffers = 256, .recv_buffer_bytes = 512});
  TestListener listener = MakeListener();
  RecordingSource& acceptor = AddSource(std::move(listener.fd));
  std::vector<Fd> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(ConnectTo(listener.address));
  std::vector<SocketPair> pairs;
  std::vector<RecordingSource*> sources;
  for (int i = 0; i < 100; ++i) {
    pairs.push_back(MakeUnixPair());
    sources.push_back(&AddSource(std::move(pairs.back().ours)));
    backend().StartRecv(*sources.back());
    ASSERT_TRUE(SendAll(pairs.back().peer.get(), std::string(2000, 'x')));
  }
  backend().StartAccept(acceptor);
  ASSERT_TRUE(PumpUntil([&] { return acceptor.accepted().size() == clients.size(); }));
  for (RecordingSource* source : sources) {
    ASSERT_TRUE(PumpUntil([&] { return source->received().size() == 2000; }));
    Send(*source, "y");
  }
  for (RecordingSource* source : sources) {
    ASSERT_TRUE(PumpUntil([&] { return source->Count(Op::kSend) == 1; }));
  }
  ExpectSilence();
}

}  // namespace
}  // namespace quintet::testing
