// Promise 15: no ghost events when a duplicate of a closed descriptor lives on in a child. Without
// care an epoll registration outlives close(2) then (epoll(7), "Questions and answers", Q6), and
// its events come for ever, for a source that is gone.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>

#include "net/listener.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

// A child that does nothing but hold a copy of every descriptor that was open when it was made.
class HoldingChild {
 public:
  HoldingChild() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[1]);
      char byte;
      // Returns at the end of file: when the parent lets go, or is gone.
      while (::read(ends[0], &byte, 1) > 0) {
      }
      ::_exit(0);
    }
    EXPECT_GT(pid_, 0);
    ::close(ends[0]);
    release_ = Fd(ends[1]);
  }
  ~HoldingChild() {
    release_.Reset();
    int status = -1;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
  }
  HoldingChild(const HoldingChild&) = delete;
  HoldingChild& operator=(const HoldingChild&) = delete;

 private:
  pid_t pid_;
  Fd release_;
};

class ForeignDuplicateTest : public PromiseTest {
 protected:
  void SetUp() override {
    PromiseTest::SetUp();
    if (IsSkipped() || HasFailure()) return;
    MakeGroup();
  }

  // After a close that the loop has dealt with: whatever happens to the descriptor's other copy
  // wakes nobody.
  void ExpectNoWakeup(const std::function<void()>& provoke) {
    RunFor(std::chrono::milliseconds(20));
    const BackendStats before = loop().backend().stats();
    provoke();
    const TimePoint end = loop().clock().Now() + std::chrono::milliseconds(150);
    uint64_t turns = 0;
    for (; loop().clock().Now() < end; ++turns) loop().RunOnce(end - loop().clock().Now());
    const BackendStats& after = loop().backend().stats();
    EXPECT_EQ(after.events - before.events, 0U);
    EXPECT_EQ(after.stale_events - before.stale_events, 0U);
    // The turn that the end of the window ends, and one for a wait that came back a tick early.
    EXPECT_LE(turns, 2U);
    EXPECT_LE(after.wait_syscalls - before.wait_syscalls, 3U);
  }
};

TEST_P(ForeignDuplicateTest, ConnectionThatWasAborted) {
  Connection* connection = nullptr;
  const Fd peer = Connect(MakeSession({}), &connection);
  RunFor(std::chrono::milliseconds(5));
  const HoldingChild child;
  connection->Abort(CloseReason::kAborted);
  ExpectNoWakeup([&] { SendAll(peer.get(), "to nobody"); });
}

TEST_P(ForeignDuplicateTest, ConnectionThatWasClosed) {
  bool closed = false;
  const Fd peer =
      Connect(MakeSession({.on_closed = [&](ScriptedSession&, CloseReason) { closed = true; }}));
  RunFor(std::chrono::milliseconds(5));
  const HoldingChild child;
  // The default of a session: it closes when its peer does.
  ASSERT_EQ(::shutdown(peer.get(), SHUT_WR), 0);
  ASSERT_TRUE(RunUntil([&] { return closed; }));
  ExpectNoWakeup([&] { FillSocket(peer.get()); });
}

// Waiting for room to send, too, is registered.
TEST_P(ForeignDuplicateTest, ConnectionThatWasSending) {
  const std::string large(8 << 20, 'l');
  Connection* connection = nullptr;
  const Fd peer = Connect(
      MakeSession({.on_open = [&](ScriptedSession& session) { session.transport().Write(large); }}),
      &connection);
  RunFor(std::chrono::milliseconds(5));
  const HoldingChild child;
  connection->Abort(CloseReason::kAborted);
  ExpectNoWakeup([&] {
    std::string sink(1 << 20, '\0');
    while (::recv(peer.get(), sink.data(), sink.size(), MSG_DONTWAIT) > 0) {
    }
    SendAll(peer.get(), "to nobody");
  });
}

TEST_P(ForeignDuplicateTest, Listener) {
  TestListener socket = MakeListener();
  const sockaddr_in address = socket.address;
  int accepted = 0;
  auto listener =
      Listener::Create(loop(), Socket(socket.fd.Release()), [&](Socket) { ++accepted; });
  ASSERT_TRUE(listener.ok()) << listener.status();
  RunFor(std::chrono::milliseconds(5));
  const HoldingChild child;
  listener->reset();
  Fd client;
  ExpectNoWakeup([&] {
    // The child's copy keeps the socket listening.
    client = ConnectTo(address);
    EXPECT_TRUE(client);
  });
  EXPECT_EQ(accepted, 0);
}

TEST_P(ForeignDuplicateTest, WatchedDescriptor) {
  SocketPair pair = MakeUnixPair();
  int calls = 0;
  auto watch = loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel,
                            [&](Readiness) { ++calls; });
  ASSERT_TRUE(watch.ok()) << watch.status();
  RunFor(std::chrono::milliseconds(5));
  const HoldingChild child;
  watch->reset();
  RunFor(std::chrono::milliseconds(5));
  pair.ours.Reset();
  ExpectNoWakeup([&] { SendAll(pair.peer.get(), "to nobody"); });
  EXPECT_EQ(calls, 0);
}

INSTANTIATE_TEST_SUITE_P(Backends, ForeignDuplicateTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
