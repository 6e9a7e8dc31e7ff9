// Promise 17: SIGPIPE is never raised, and what the host does with it never touched.
#include <signal.h>
#include <sys/uio.h>

#include <array>
#include <string>
#include <thread>

#include "reactor/signal_set.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/backend_test.h"
#include "tests/support/memory_file.h"

namespace quintet::testing {
namespace {

// The default kills the process, so a signal that is raised fails the test loudly.
class DefaultSigpipe {
 public:
  DefaultSigpipe() {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    EXPECT_EQ(::sigaction(SIGPIPE, &action, &before_), 0);
    EXPECT_FALSE(Blocked());
  }
  ~DefaultSigpipe() {
    struct sigaction now {};
    EXPECT_EQ(::sigaction(SIGPIPE, &before_, &now), 0);
    EXPECT_TRUE(now.sa_handler == SIG_DFL) << "the disposition of SIGPIPE was changed";
    EXPECT_FALSE(Blocked()) << "SIGPIPE was blocked";
  }
  DefaultSigpipe(const DefaultSigpipe&) = delete;
  DefaultSigpipe& operator=(const DefaultSigpipe&) = delete;

 private:
  static bool Blocked() {
    sigset_t mask;
    EXPECT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &mask), 0);
    return sigismember(&mask, SIGPIPE) == 1;
  }

  struct sigaction before_ {};
};

class SigpipeTest : public PromiseTest {
 private:
  const DefaultSigpipe default_;
};

// A Unix socket whose peer is gone answers the first send with EPIPE.
TEST_P(SigpipeTest, WriteToAClosedUnixPeer) {
  MakeGroup();
  CloseReason reason = CloseReason::kNone;
  SocketPair pair = MakeUnixPair();
  pair.peer.Reset();
  Adopt(std::move(pair.ours),
        MakeSession({.on_open = [](ScriptedSession& session) { session.transport().Write("x"); },
                     .on_closed = [&](ScriptedSession&, CloseReason why) { reason = why; }}));
  ASSERT_TRUE(RunUntil([&] { return reason != CloseReason::kNone; }));
  EXPECT_EQ(reason, CloseReason::kPeerReset);
}

// Written again and again, so that both the error of the reset and the EPIPE after it are met.
TEST_P(SigpipeTest, WritesToAResetTcpPeer) {
  MakeGroup();
  for (int i = 0; i < 20; ++i) {
    CloseReason reason = CloseReason::kNone;
    Connection* connection = nullptr;
    // It does not read, so that it learns of the reset by writing.
    Fd client = Connect(
        MakeSession(
            {.on_open = [](ScriptedSession& session) { session.transport().PauseReading(); },
             .on_closed = [&](ScriptedSession&, CloseReason why) { reason = why; }}),
        &connection);
    RunFor(std::chrono::milliseconds(1));
    if (i % 2 == 0) {
      Reset(client);
    } else {
      client.Reset();
    }
    ASSERT_TRUE(RunUntil([&] {
      if (reason == CloseReason::kNone) connection->Write(std::string(1000, 'x'));
      return reason != CloseReason::kNone;
    }));
    EXPECT_EQ(reason, CloseReason::kPeerReset);
  }
}

// sendfile(2) has no MSG_NOSIGNAL.
TEST_P(SigpipeTest, FileToAClosedUnixPeer) {
  MakeGroup();
  const auto file = MakeFile("x");
  CloseReason reason = CloseReason::kNone;
  SocketPair pair = MakeUnixPair();
  pair.peer.Reset();
  Adopt(
      std::move(pair.ours),
      MakeSession(
          {.on_open = [&](ScriptedSession& session) { session.transport().WriteFile(file, 0, 1); },
           .on_closed = [&](ScriptedSession&, CloseReason why) { reason = why; }}));
  ASSERT_TRUE(RunUntil([&] { return reason != CloseReason::kNone; }));
  EXPECT_EQ(reason, CloseReason::kPeerReset);
}

TEST_P(SigpipeTest, ServerThatLosesItsClientsInMidFile) {
  const auto file = MakeFile(std::string(1 << 20, 'x'));
  ScriptedFactory factory({.on_data = [&](ScriptedSession& session, std::string_view bytes) {
    for (int i = 0; i < 16; ++i) session.transport().WriteFile(file, 0, 1 << 20);
    return bytes.size();
  }});
  RunningServer running(GetParam(), factory);
  for (size_t i = 0; i < 50; ++i) {
    Fd client = running.Connect();
    ASSERT_TRUE(client);
    ASSERT_TRUE(SendAll(client.get(), "go"));
    ReceiveExactly(client.get(), 1 + i * 20'000);
    Reset(client);
  }
}

TEST_P(SigpipeTest, ServerThatLosesItsClientsInMidReply) {
  ScriptedFactory factory({.on_data = [](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write(std::string(1 << 20, 'x'));
    return bytes.size();
  }});
  RunningServer running(GetParam(), factory);
  for (int i = 0; i < 50; ++i) {
    Fd client = running.Connect();
    ASSERT_TRUE(client);
    ASSERT_TRUE(SendAll(client.get(), "go"));
    ReceiveExactly(client.get(), 1);
    Reset(client);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, SigpipeTest, AllBackends(), KindName);

class SigpipeBackendTest : public BackendTest {
 private:
  const DefaultSigpipe default_;
};

// One buffer and several go to the kernel by different calls.
TEST_P(SigpipeBackendTest, OneBufferAndSeveral) {
  std::string bytes = "some bytes";
  for (const size_t count : {1U, 2U, 16U}) {
    SocketPair pair = MakeUnixPair();
    pair.peer.Reset();
    RecordingSource& source = AddSource(std::move(pair.ours));
    std::array<iovec, Backend::kMaxSendBuffers> buffers;
    buffers.fill({bytes.data(), bytes.size()});
    backend().StartSend(source, {buffers.data(), count});
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
    EXPECT_EQ(source.Last(Op::kSend), -EPIPE);
    CloseAndPump(source);
  }
}

TEST_P(SigpipeBackendTest, Files) {
  const auto file = MakeFile("some bytes");
  const FileRange range{.fd = file->get(), .offset = 0, .length = 10};
  SocketPair pair = MakeUnixPair();
  pair.peer.Reset();
  RecordingSource& source = AddSource(std::move(pair.ours));
  EXPECT_EQ(backend().SendFileNow(source, range), 0U);
  backend().StartSendFile(source, range);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), -EPIPE);
  CloseAndPump(source);
}

// A call that sends something before it finds the peer gone succeeds, and has raised the signal all
// the same.
TEST_P(SigpipeBackendTest, FileThatTheSocketTakesAPartOf) {
  const auto file = MakeFile(std::string(256 << 10, 'f'));
  const FileRange range{.fd = file->get(), .offset = 0, .length = 256 << 10};
  for (int i = 0; i < 200; ++i) {
    SocketPair pair = MakeUnixPair();
    RecordingSource& source = AddSource(std::move(pair.ours));
    std::thread peer([&] {
      ReceiveExactly(pair.peer.get(), 1);
      pair.peer.Reset();
    });
    for (int n = 0; n < 4; ++n) backend().SendFileNow(source, range);
    peer.join();
    CloseAndPump(source);
  }
}

// Where the host has it blocked and one pending, that one is the host's.
TEST_P(SigpipeBackendTest, WhatTheHostHasPendingStaysPending) {
  const auto file = MakeFile("some bytes");
  const FileRange range{.fd = file->get(), .offset = 0, .length = 10};
  const sigset_t sigpipe = SignalSet({SIGPIPE});
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &sigpipe, nullptr), 0);
  for (const bool pending : {false, true}) {
    if (pending) {
      ASSERT_EQ(::pthread_kill(::pthread_self(), SIGPIPE), 0);
    }
    SocketPair pair = MakeUnixPair();
    pair.peer.Reset();
    RecordingSource& source = AddSource(std::move(pair.ours));
    EXPECT_EQ(backend().SendFileNow(source, range), 0U);
    CloseAndPump(source);
    const timespec at_once{};
    EXPECT_EQ(::sigtimedwait(&sigpipe, nullptr, &at_once), pending ? SIGPIPE : -1);
  }
  ASSERT_EQ(::pthread_sigmask(SIG_UNBLOCK, &sigpipe, nullptr), 0);
}

INSTANTIATE_TEST_SUITE_P(Backends, SigpipeBackendTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
