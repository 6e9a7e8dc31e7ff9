#include "reactor/uring_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/reactor/syscall_filter.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class UringBackendTest : public UringKernelTest {};
INSTANTIATE_TEST_SUITE_P(Kernels, UringBackendTest, ::testing::ValuesIn(kUringKernels),
                         UringKernelName);

// ---- Set-up ----

TEST_P(UringBackendTest, SaysWhenTheRingIsSmallerThanAskedFor) {
  if (GetParam().unknown_flags != 0) GTEST_SKIP() << "one filter at a time";
  std::vector<std::string> log;
  const auto logger = [&log](LogLevel level, std::string_view message) {
    EXPECT_EQ(level, LogLevel::kWarning);
    log.emplace_back(message);
  };
  const SyscallRule rule{
      .number = __NR_io_uring_setup, .error = ENOMEM, .first_argument_above = 64};
  const bool ran = RunWithSyscallRule(rule, [&] {
    SteadyClock clock;
    auto backend = UringBackend::Create({}, logger, clock);
    ASSERT_TRUE(backend.ok()) << backend.status();
    EXPECT_EQ((*backend)->ring().sq_entries(), 64u);
    EXPECT_EQ((*backend)->ring().cq_entries(), 1024u);
  });
  if (!ran) GTEST_SKIP() << "no seccomp filters here";
  ASSERT_EQ(log.size(), 1u);
  EXPECT_THAT(log[0], HasSubstr("going on with 64 and 1024"));
}

// Promise 37. The limit lets a ring in but not its buffers: smaller rings are tried.
TEST_P(UringBackendTest, MakesRoomForTheBuffersWhenLockedMemoryIsShort) {
  if (GetParam().unknown_flags != 0) GTEST_SKIP() << "one kernel suffices";
  const auto create = [](rlim_t limit, uid_t user) {
    const rlimit locked{limit, limit};
    if (::setrlimit(RLIMIT_MEMLOCK, &locked) != 0 || ::setuid(user) != 0) return 3;
    SteadyClock clock;
    bool said = false;
    const auto logger = [&](LogLevel, std::string_view) { said = true; };
    auto backend = UringBackend::Create({}, logger, clock);
    if (!backend.ok()) {
      return backend.status().message().find("RLIMIT_MEMLOCK") != std::string::npos ? 10 : 1;
    }
    const bool halved = (*backend)->ring().sq_entries() < 256;
    return halved != said ? 2 : halved ? 11 : 12;
  };
  // From limits that allow nothing to limits that allow everything, each in a fresh process. The
  // kernel counts for each user and frees rings in the background: a number for each attempt.
  const auto page = static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
  uid_t user = 70000;
  for (rlim_t pages = 0; pages <= 32; ++pages) {
    int status = 10;
    for (int attempt = 0; attempt < 3 && status == 10; ++attempt) {
      ++user;
      status = RunInChild([&] { return create(pages * page, user); });
    }
    if (status == 3) GTEST_SKIP() << "cannot give up privileges";
    EXPECT_GE(status, 10) << pages << " pages";
    // One each for the queues, the submissions and the buffer ring.
    if (pages > 3) {
      EXPECT_NE(status, 10) << pages << " pages";
    }
  }
}

TEST_P(UringBackendTest, RefusesDescriptorsItCannotServe) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource none(-1);
    EXPECT_EQ((*driver)->Add(none).code(), absl::StatusCode::kInvalidArgument);
    RecordingSource closed(::dup(a));
    ::close(closed.fd());
    EXPECT_EQ((*driver)->Add(closed).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(closed.attached());

    RecordingSource source(a);
    RecordingSource twin(a);
    ASSERT_TRUE((*driver)->Add(source).ok());
    EXPECT_EQ((*driver)->Add(twin).code(), absl::StatusCode::kAlreadyExists);
    EXPECT_EQ((*driver)->attached_sources(), 1u);

    // The number is free again as soon as the descriptor is closed, before kClosed was delivered.
    driver->Close(source);
    const int again = ::dup(b);
    ASSERT_EQ(again, a);
    EXPECT_TRUE((*driver)->Add(twin).ok());
    EXPECT_NE(twin.id().slot, source.id().slot);
    driver->Poll();
    EXPECT_EQ(source.closed, 1);
    driver->Drain();
    EXPECT_EQ(twin.closed, 1);
    ::close(b);
  });
}

// ---- Receiving ----

TEST_P(UringBackendTest, DeliversBytesThenEndOfFileOnce) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = TcpPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    EXPECT_EQ(source.received, "");
    Send(b, "hello");
    ASSERT_TRUE(driver->RunUntil([&] { return source.received == "hello"; }));
    Send(b, " world");
    ::shutdown(b, SHUT_WR);
    ASSERT_TRUE(driver->RunUntil([&] { return source.ends == 1; }));
    EXPECT_EQ(source.received, "hello world");
    (*driver)->StopRecv(source);
    (*driver)->StartRecv(source);
    driver->Turn(milliseconds(20));
    EXPECT_EQ(source.ends, 1);
    EXPECT_TRUE(source.errors.empty());
    ::close(b);
  });
}

// The end is known, its completion is not delivered yet: asking again must not bring a second.
TEST_P(UringBackendTest, ToldToReceiveAgainBeforeTheEndIsDelivered) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    ::close(b);
    (*driver)->Wait(kPollOnly);
    (*driver)->StopRecv(source);
    (*driver)->StartRecv(source);
    for (int i = 0; i < 5; ++i) driver->Turn(milliseconds(5));
    EXPECT_EQ(source.ends, 1);
  });
}

TEST_P(UringBackendTest, ReportsAResetOnce) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = TcpPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(::setsockopt(b, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    ::close(b);
    ASSERT_TRUE(driver->RunUntil([&] { return !source.errors.empty(); }));
    driver->Turn(milliseconds(20));
    EXPECT_THAT(source.errors, ElementsAre(-ECONNRESET));
    EXPECT_EQ(source.ends, 0);
  });
}

// Contract rule 5.
TEST_P(UringBackendTest, BytesAlreadyTakenComeAfterStop) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    Send(b, "one");
    (*driver)->Wait(kPollOnly);
    (*driver)->StopRecv(source);
    driver->Turn(milliseconds(20));
    EXPECT_EQ(source.received, "one");
    // Stopped for good: what comes now waits in the socket.
    Send(b, "two");
    driver->Turn(milliseconds(20));
    driver->Turn(milliseconds(20));
    EXPECT_EQ(source.received, "one");
    (*driver)->StartRecv(source);
    ASSERT_TRUE(driver->RunUntil([&] { return source.received == "onetwo"; }));
    ::close(b);
  });
}

TEST_P(UringBackendTest, StopAndStartInOneTurnCostNothing) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    const uint64_t events = (*driver)->stats().events;
    for (int i = 0; i < 10; ++i) {
      (*driver)->StopRecv(source);
      (*driver)->StartRecv(source);
      driver->Poll();
      driver->Poll();
    }
    EXPECT_EQ((*driver)->stats().events, events);
    Send(b, "x");
    ASSERT_TRUE(driver->RunUntil([&] { return source.received == "x"; }));
    ::close(b);
  });
}

// Stopped in one turn, started in the next, while the cancellation is on its way.
TEST_P(UringBackendTest, StartWhileTheCancellationIsOnItsWay) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    (*driver)->StopRecv(source);
    driver->Poll();
    (*driver)->StartRecv(source);
    driver->Poll();
    Send(b, "x");
    ASSERT_TRUE(driver->RunUntil([&] { return source.received == "x"; }));
    ::close(b);
  });
}

// A receive ends when the ring runs dry; nobody may forget it.
TEST_P(UringBackendTest, GoesOnAfterTheBuffersRanOut) {
  Run([] {
    auto driver = BackendDriver::Make({.recv_buffers = 2, .recv_buffer_bytes = 16});
    const auto [a, b] = TcpPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    std::string text(1000, '?');
    std::iota(text.begin(), text.end(), '\0');
    Send(b, text);
    ASSERT_TRUE(driver->RunUntil([&] { return source.received.size() == text.size(); }));
    EXPECT_EQ(source.received, text);
    EXPECT_GT((*driver)->stats().buffer_starvation, 0u);
    EXPECT_TRUE(source.errors.empty());
    ::close(b);
  });
}

// Contract rule 9: the kernel hands over up to 32 completions of a flooded source in a row.
TEST_P(UringBackendTest, EverySourceHasItsTurnBetweenTwoCompletionsOfOne) {
  Run([] {
    auto driver = BackendDriver::Make({.recv_buffers = 64, .recv_buffer_bytes = 16});
    std::vector<RecordingSource*> sources;
    std::vector<int> peers;
    std::vector<int> order;
    for (int i = 0; i < 3; ++i) {
      const auto [a, b] = TcpPair();
      peers.push_back(b);
      sources.push_back(&driver->Attach(a));
      sources.back()->react = [&order, i](const Completion& completion) {
        if (completion.op == Op::kRecv) order.push_back(i);
      };
      (*driver)->StartRecv(*sources.back());
    }
    driver->Poll();
    for (const int peer : peers) Send(peer, std::string(16 * 8, 'x'));
    (*driver)->Wait(kPollOnly);
    driver->Poll();
    ASSERT_EQ(order.size(), 24u);
    for (size_t i = 0; i + 3 <= order.size(); i += 3) {
      EXPECT_NE(order[i], order[i + 1]);
      EXPECT_NE(order[i], order[i + 2]);
      EXPECT_NE(order[i + 1], order[i + 2]);
    }
    driver->Drain();
    for (const int peer : peers) ::close(peer);
  });
}

// What had overflown at Close() comes after it: bytes in a buffer that goes back, connections that
// are closed.
TEST_P(UringBackendTest, DisposesOfWhatComesAfterClose) {
  Run([] {
    auto driver = BackendDriver::Make(
        {.sq_entries = 4, .cq_entries = 4, .recv_buffers = 16, .recv_buffer_bytes = 4});
    driver->Poll();
    // More often than there are buffers: one that is lost each time would be missed below.
    for (int round = 0; round < 40; ++round) {
      const auto [a, b] = TcpPair();
      RecordingSource& source = driver->Attach(a);
      (*driver)->StartRecv(source);
      driver->Poll();
      Send(b, std::string(64, 'x'));
      (*driver)->Wait(kPollOnly);
      ASSERT_TRUE((*driver)->ring().cq_overflown());
      driver->Close(source);
      ASSERT_TRUE(driver->RunUntil([&] { return source.closed == 1; }));
      EXPECT_EQ(source.after_close, 0);
      ::close(b);
    }
    const auto [c, d] = UnixPair();
    RecordingSource& last = driver->Attach(c);
    (*driver)->StartRecv(last);
    Send(d, std::string(64, 'x'));
    ASSERT_TRUE(driver->RunUntil([&] { return last.received.size() == 64; }));
    EXPECT_EQ((*driver)->stats().buffer_starvation, 0u);
    ::close(d);

    const size_t before = OpenDescriptors();
    const auto [fd, port] = TcpListener();
    RecordingSource& listener = driver->Attach(fd);
    (*driver)->StartAccept(listener);
    driver->Poll();
    std::vector<int> clients;
    for (int i = 0; i < 8; ++i) clients.push_back(TcpConnect(port));
    (*driver)->Wait(kPollOnly);
    ASSERT_TRUE((*driver)->ring().cq_overflown());
    driver->Close(listener);
    ASSERT_TRUE(driver->RunUntil([&] { return listener.closed == 1; }));
    EXPECT_EQ(listener.after_close, 0);
    EXPECT_EQ(OpenDescriptors(), before + clients.size());
    for (const int client : clients) ::close(client);
  });
}

// ---- Sending ----

TEST_P(UringBackendTest, SendsOneBufferOrSixteen) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    const std::string text = "0123456789abcdef";
    for (size_t count : {size_t{1}, size_t{2}, Backend::kMaxSendBuffers}) {
      source.sent.clear();
      std::vector<iovec> buffers;
      for (size_t i = 0; i < count; ++i) buffers.push_back({const_cast<char*>(&text[i]), 1});
      (*driver)->StartSend(source, buffers);
      ASSERT_TRUE(driver->RunUntil([&] { return !source.sent.empty(); }));
      EXPECT_THAT(source.sent, ElementsAre(static_cast<int>(count)));
      char got[64];
      ASSERT_EQ(::read(b, got, sizeof(got)), static_cast<ssize_t>(count));
      EXPECT_EQ(std::string(got, count), text.substr(0, count));
    }
    ::close(b);
  });
}

// More messages in one turn than the queue has places: each keeps its header until it is taken.
TEST_P(UringBackendTest, SendsManyVectorsInOneTurnThroughASmallQueue) {
  Run([] {
    auto driver = BackendDriver::Make({.sq_entries = 4, .cq_entries = 8});
    constexpr size_t kCount = 100;
    std::vector<RecordingSource*> sources;
    std::vector<int> peers;
    std::vector<std::string> texts(kCount);
    std::vector<std::array<iovec, 2>> buffers(kCount);
    for (size_t i = 0; i < kCount; ++i) {
      const auto [a, b] = UnixPair();
      peers.push_back(b);
      sources.push_back(&driver->Attach(a));
      texts[i] = "message " + std::to_string(i);
      buffers[i] = {{{texts[i].data(), 3}, {texts[i].data() + 3, texts[i].size() - 3}}};
      (*driver)->StartSend(*sources[i], buffers[i]);
    }
    ASSERT_TRUE(driver->RunUntil([&] {
      return std::all_of(sources.begin(), sources.end(),
                         [](const auto* source) { return source->sent.size() == 1; });
    }));
    for (size_t i = 0; i < kCount; ++i) {
      char got[64];
      const ssize_t size = ::read(peers[i], got, sizeof(got));
      ASSERT_GT(size, 0);
      EXPECT_EQ(std::string(got, static_cast<size_t>(size)), texts[i]);
      ::close(peers[i]);
    }
    driver->Drain();
  });
}

// All sends of a turn leave with one system call.
TEST_P(UringBackendTest, BatchesTheSendsOfATurn) {
  Run([] {
    auto driver = BackendDriver::Make({});
    constexpr size_t kCount = 50;
    std::vector<RecordingSource*> sources;
    std::vector<int> peers;
    const std::string text = "x";
    const auto buffers = Buffers(text);
    driver->Poll();
    for (size_t i = 0; i < kCount; ++i) {
      const auto [a, b] = UnixPair();
      peers.push_back(b);
      sources.push_back(&driver->Attach(a));
      (*driver)->StartSend(*sources[i], buffers);
    }
    const uint64_t syscalls = (*driver)->stats().wait_syscalls;
    EXPECT_EQ(driver->Turn(seconds(10)), kCount);
    EXPECT_EQ((*driver)->stats().wait_syscalls, syscalls + 1);
    EXPECT_EQ((*driver)->stats().io_syscalls, 0u);
    driver->Drain();
    for (const int peer : peers) ::close(peer);
  });
}

TEST_P(UringBackendTest, SendsALotToASlowReader) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = TcpPair();
    RecordingSource& source = driver->Attach(a);
    std::string text(16 << 20, '?');
    for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761U >> 13);
    std::string got;
    std::thread reader([&, peer = b] {
      ::fcntl(peer, F_SETFL, 0);
      std::vector<char> chunk(100000);
      ssize_t size;
      while ((size = ::read(peer, chunk.data(), chunk.size())) > 0) {
        got.append(chunk.data(), static_cast<size_t>(size));
      }
    });
    size_t done = 0;
    while (done < text.size()) {
      const iovec buffer{text.data() + done, text.size() - done};
      source.sent.clear();
      (*driver)->StartSend(source, {&buffer, 1});
      ASSERT_TRUE(driver->RunUntil([&] { return !source.sent.empty(); }));
      done += static_cast<size_t>(source.sent[0]);
    }
    (*driver)->ShutdownSend(source);
    reader.join();
    EXPECT_TRUE(got == text);
    ::close(b);
  });
}

TEST_P(UringBackendTest, SendToAPeerThatIsGoneIsAnErrorNumber) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    ::close(b);
    const std::string text = "x";
    const auto buffers = Buffers(text);
    (*driver)->StartSend(source, buffers);
    ASSERT_TRUE(driver->RunUntil([&] { return !source.errors.empty(); }));
    EXPECT_THAT(source.errors, ElementsAre(-EPIPE));
  });
}

TEST_P(UringBackendTest, SendsAfterEndOfFile) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = TcpPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    Send(b, "question");
    ::shutdown(b, SHUT_WR);
    ASSERT_TRUE(driver->RunUntil([&] { return source.ends == 1; }));
    const std::string text = "answer";
    const auto buffers = Buffers(text);
    (*driver)->StartSend(source, buffers);
    ASSERT_TRUE(driver->RunUntil([&] { return source.sent.size() == 1; }));
    (*driver)->ShutdownSend(source);
    char got[16];
    ::fcntl(b, F_SETFL, 0);
    EXPECT_EQ(::read(b, got, sizeof(got)), 6);
    EXPECT_EQ(::read(b, got, sizeof(got)), 0);
    ::close(b);
  });
}

// ---- Accepting ----

TEST_P(UringBackendTest, AcceptsUntilStopped) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [fd, port] = TcpListener();
    RecordingSource& listener = driver->Attach(fd);
    (*driver)->StartAccept(listener);
    std::vector<int> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(TcpConnect(port));
    ASSERT_TRUE(driver->RunUntil([&] { return listener.accepted.size() == 20; }));
    for (const int accepted : listener.accepted) {
      EXPECT_NE(::fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
      EXPECT_NE(::fcntl(accepted, F_GETFD) & FD_CLOEXEC, 0);
    }
    (*driver)->StopAccept(listener);
    driver->Poll();
    clients.push_back(TcpConnect(port));
    driver->Turn(milliseconds(30));
    EXPECT_EQ(listener.accepted.size(), 20u) << "waits in the backlog";
    (*driver)->StartAccept(listener);
    ASSERT_TRUE(driver->RunUntil([&] { return listener.accepted.size() == 21; }));
    for (const int client : clients) ::close(client);
    for (const int accepted : listener.accepted) ::close(accepted);
  });
}

TEST_P(UringBackendTest, ConnectionsTakenBeforeStopAreDeliveredAndBeforeCloseClosed) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const size_t before = OpenDescriptors();
    const auto [fd, port] = TcpListener();
    RecordingSource& listener = driver->Attach(fd);
    (*driver)->StartAccept(listener);
    std::vector<int> clients = {TcpConnect(port), TcpConnect(port)};
    (*driver)->Wait(kPollOnly);
    (*driver)->StopAccept(listener);
    driver->Poll();
    ASSERT_EQ(listener.accepted.size(), 2u);
    (*driver)->StartAccept(listener);
    driver->Poll();
    clients.push_back(TcpConnect(port));
    (*driver)->Wait(kPollOnly);  // taken, and not delivered
    driver->Close(listener);
    clients.push_back(TcpConnect(port));  // may be taken before the cancellation
    ASSERT_TRUE(driver->RunUntil([&] { return listener.closed == 1; }));
    EXPECT_EQ(listener.accepted.size(), 2u);
    EXPECT_EQ(listener.after_close, 0);
    EXPECT_GE((*driver)->stats().stale_events, 1u);
    EXPECT_EQ(OpenDescriptors(), before + 2 + clients.size());
    for (const int client : clients) ::close(client);
    for (const int accepted : listener.accepted) ::close(accepted);
  });
}

// Promise 7, the backend's half: reported, disarmed, and no spin.
TEST_P(UringBackendTest, ReportsDescriptorExhaustionOnceAndRests) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [fd, port] = TcpListener();
    RecordingSource& listener = driver->Attach(fd);
    std::vector<int> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(TcpConnect(port));
    // The limit concerns numbers: what is open stays.
    rlimit saved{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &saved), 0);
    const int highest = ::dup(fd);
    ::close(highest);
    rlimit low = saved;
    low.rlim_cur = static_cast<rlim_t>(highest) + 2;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    (*driver)->StartAccept(listener);
    EXPECT_TRUE(driver->RunUntil([&] { return !listener.errors.empty(); }));
    const uint64_t events = (*driver)->stats().events;
    for (int i = 0; i < 5; ++i) driver->Turn(milliseconds(5));
    EXPECT_EQ((*driver)->stats().events, events);
    EXPECT_THAT(listener.errors, ElementsAre(-EMFILE));
    EXPECT_EQ(listener.accepted.size(), 2u);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &saved), 0);
    (*driver)->StartAccept(listener);
    EXPECT_TRUE(driver->RunUntil([&] { return listener.accepted.size() == 4; }));
    for (const int client : clients) ::close(client);
    for (const int accepted : listener.accepted) ::close(accepted);
  });
}

TEST_P(UringBackendTest, ReportsFatalAcceptErrorsOnce) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartAccept(source);  // does not listen
    ASSERT_TRUE(driver->RunUntil([&] { return !source.errors.empty(); }));
    driver->Turn(milliseconds(10));
    EXPECT_EQ(source.errors.size(), 1u);
    ::close(b);
  });
}

// ---- Connecting ----

TEST_P(UringBackendTest, ConnectsOrSaysWhyNot) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [listener, port] = TcpListener();
    sockaddr_storage storage;
    socklen_t length;
    sockaddr* address = LoopbackAddress(port, &storage, &length);
    RecordingSource& source = driver->Attach(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (*driver)->StartConnect(source, address, length);
    ASSERT_TRUE(driver->RunUntil([&] { return source.connected == 1; }));
    const int peer = ::accept4(listener, nullptr, nullptr, 0);
    ASSERT_GE(peer, 0);
    Send(peer, "hello");
    (*driver)->StartRecv(source);
    ASSERT_TRUE(driver->RunUntil([&] { return source.received == "hello"; }));
    ::close(peer);
    ::close(listener);

    RecordingSource& refused = driver->Attach(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (*driver)->StartConnect(refused, address, length);
    ASSERT_TRUE(driver->RunUntil([&] { return !refused.errors.empty(); }));
    EXPECT_THAT(refused.errors, ElementsAre(-ECONNREFUSED));
    driver->Drain();
  });
}

// A listener whose backlog is full does not answer: the connect stays in flight.
TEST_P(UringBackendTest, ClosesWhileConnecting) {
  Run([] {
    auto driver = BackendDriver::Make({});
    const auto [listener, port] = TcpListener(1);
    sockaddr_storage storage;
    socklen_t length;
    sockaddr* address = LoopbackAddress(port, &storage, &length);
    std::vector<RecordingSource*> sources;
    for (int i = 0; i < 10; ++i) {
      sources.push_back(&driver->Attach(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)));
      (*driver)->StartConnect(*sources.back(), address, length);
    }
    driver->Turn(milliseconds(20));
    driver->Turn(milliseconds(20));
    int waiting = 0;
    for (RecordingSource* source : sources) waiting += source->connected == 0 ? 1 : 0;
    EXPECT_GT(waiting, 0);
    for (RecordingSource* source : sources) driver->Close(*source);
    ASSERT_TRUE(driver->RunUntil([&] { return (*driver)->attached_sources() == 0; }));
    for (RecordingSource* source : sources) EXPECT_EQ(source->after_close, 0);
    ::close(listener);
  });
}

}  // namespace
}  // namespace quintet
