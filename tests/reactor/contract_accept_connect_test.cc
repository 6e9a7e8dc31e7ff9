// The contract of Backend: accepting and connecting.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/backend_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

class AcceptTest : public BackendTest {
 protected:
  // A listener of the fixture's, not yet accepting.
  RecordingSource& Listen(int backlog = 1024) {
    TestListener listener = MakeListener(backlog);
    address_ = listener.address;
    return AddSource(std::move(listener.fd));
  }
  const sockaddr_in& address() const { return address_; }
  const sockaddr* generic_address() const { return reinterpret_cast<const sockaddr*>(&address_); }

  sockaddr_in address_{};
};
INSTANTIATE_TEST_SUITE_P(Backends, AcceptTest, AllBackends(), KindName);

using ConnectTest = AcceptTest;
INSTANTIATE_TEST_SUITE_P(Backends, ConnectTest, AllBackends(), KindName);

TEST_P(AcceptTest, EachConnectionComesOnceNonBlockingAndCloseOnExec) {
  RecordingSource& listener = Listen();
  backend().StartAccept(listener);
  std::vector<Fd> clients;
  for (size_t i = 1; i <= 10; ++i) {
    clients.push_back(ConnectTo(address()));
    ASSERT_TRUE(clients.back());
    ASSERT_TRUE(PumpUntil([&] { return listener.accepted().size() == i; }));
  }
  ExpectSilence();
  ASSERT_EQ(listener.accepted().size(), 10U);
  for (size_t i = 0; i < 10; ++i) {
    const int fd = listener.accepted()[i].get();
    EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_TRUE(SendAll(clients[i].get(), std::string(1, static_cast<char>('0' + i))));
    SetTimeouts(fd, kPeerTimeout);
    char byte = 0;
    EXPECT_TRUE(PumpUntil([&] { return ::recv(fd, &byte, 1, MSG_DONTWAIT) == 1; }) || byte != 0);
    EXPECT_EQ(byte, static_cast<char>('0' + i));
  }
}

TEST_P(AcceptTest, ConnectionsWaitInTheBacklogUntilAskedFor) {
  RecordingSource& listener = Listen();
  Fd early = ConnectTo(address());
  ASSERT_TRUE(early);
  ExpectSilence();
  backend().StartAccept(listener);
  ASSERT_TRUE(PumpUntil([&] { return listener.accepted().size() == 1; }));
  backend().StopAccept(listener);
  PumpFor(std::chrono::milliseconds(10));
  Fd later = ConnectTo(address());
  ASSERT_TRUE(later);
  ExpectSilence();
  EXPECT_EQ(listener.accepted().size(), 1U);
  backend().StartAccept(listener);
  ASSERT_TRUE(PumpUntil([&] { return listener.accepted().size() == 2; }));
}

TEST_P(AcceptTest, StopFromInsideTheCallbackLeavesTheRest) {
  RecordingSource& listener = Listen();
  std::vector<Fd> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(ConnectTo(address()));
  listener.then = [&](const Completion&) { backend().StopAccept(listener); };
  backend().StartAccept(listener);
  for (int round = 0; round < 20 && listener.accepted().size() < 20; ++round) {
    const size_t before = listener.accepted().size();
    backend().StartAccept(listener);
    ASSERT_TRUE(PumpUntil([&] { return listener.accepted().size() > before; }));
    PumpFor(std::chrono::milliseconds(3));
  }
  EXPECT_EQ(listener.accepted().size(), 20U);
  EXPECT_EQ(listener.records().size(), 20U);
}

TEST_P(AcceptTest, StormIsTakenWholeWhileAnotherSourceHasItsTurns) {
  RecordingSource& listener = Listen();
  SocketPair pinger = MakeUnixPair();
  RecordingSource& pinged = AddSource(std::move(pinger.ours));
  const int count = 300;
  std::vector<Fd> clients;
  for (int i = 0; i < count; ++i) clients.push_back(ConnectTo(address()));
  ASSERT_TRUE(SendAll(pinger.peer.get(), "ping"));
  size_t accepted_before_ping = 0;
  pinged.then = [&](const Completion&) { accepted_before_ping = listener.accepted().size(); };
  backend().StartAccept(listener);
  backend().StartRecv(pinged);
  ASSERT_TRUE(PumpUntil([&] {
    return listener.accepted().size() == static_cast<size_t>(count) && !pinged.received().empty();
  }));
  // Both were ready in the same batch: the other source waits for one accept, or on a ring for
  // what was already on its way, not for the end of the storm.
  EXPECT_LT(accepted_before_ping, static_cast<size_t>(count));
  ExpectSilence();
}

TEST_P(AcceptTest, ClosingAListenerRefusesThoseWhoWait) {
  RecordingSource& listener = Listen();
  Fd client = ConnectTo(address());
  ASSERT_TRUE(client);
  CloseAndPump(listener);
  char byte;
  EXPECT_LE(::recv(client.get(), &byte, 1, 0), 0);
  EXPECT_FALSE(ConnectTo(address()));
}

TEST_P(AcceptTest, ListenerMayBeClosedInsideItsCallback) {
  RecordingSource& listener = Listen();
  std::vector<Fd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(ConnectTo(address()));
  listener.then = [&](const Completion& completion) {
    if (completion.op == Op::kAccept) backend().Close(listener, CloseMode::kClose);
  };
  backend().StartAccept(listener);
  ASSERT_TRUE(PumpUntil([&] { return listener.closed(); }));
  EXPECT_EQ(listener.accepted().size(), 1U);
  EXPECT_EQ(listener.records().size(), 2U);
  listener.accepted().clear();
  for (Fd& client : clients) {
    char byte;
    EXPECT_LE(::recv(client.get(), &byte, 1, 0), 0) << "a connection was left hanging";
  }
}

TEST_P(AcceptTest, ListenerThatListensNoMoreReportsItsErrorOnce) {
  RecordingSource& listener = Listen();
  backend().StartAccept(listener);
  Turn(kPollOnly);
  ::shutdown(listener.fd(), SHUT_RDWR);
  ASSERT_TRUE(PumpUntil([&] { return listener.Count(Op::kAccept) == 1; }));
  EXPECT_EQ(listener.Last(Op::kAccept), -EINVAL);
  ExpectSilence();
}

TEST_P(AcceptTest, WithoutDescriptorsTheErrorIsToldOnceAndStartHeals) {
  RecordingSource& listener = Listen();
  SocketPair served = MakeTcpPair();
  RecordingSource& other = AddSource(std::move(served.ours));
  backend().StartRecv(other);
  std::vector<Fd> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(ConnectTo(address()));
  backend().StartAccept(listener);
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // Those that are open stay usable: poll(2) refuses more entries than the limit.
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(Fd(::dup(0)).get());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_TRUE(PumpUntil([&] { return listener.Count(Op::kAccept) > 0; }));
  EXPECT_EQ(listener.Last(Op::kAccept), -EMFILE);
  ExpectSilence();
  // Existing connections go on.
  EXPECT_TRUE(SendAll(served.peer.get(), "still served"));
  EXPECT_TRUE(PumpUntil([&] { return other.received() == "still served"; }));
  // Asked again too early, it says so again.
  backend().StartAccept(listener);
  EXPECT_TRUE(PumpUntil([&] { return listener.Count(Op::kAccept) > 1; }));
  EXPECT_EQ(listener.CountResult(Op::kAccept, -EMFILE), 2U);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ExpectSilence();
  backend().StartAccept(listener);
  EXPECT_TRUE(PumpUntil([&] { return listener.accepted().size() == clients.size(); }));
  EXPECT_EQ(listener.records().size(), 2 + clients.size());
}

TEST_P(ConnectTest, SucceedsAndTheConnectionWorks) {
  const TestListener listener = MakeListener();
  RecordingSource& source = AddSource(MakeTcpSocket());
  backend().StartConnect(source, reinterpret_cast<const sockaddr*>(&listener.address),
                         sizeof(listener.address));
  EXPECT_EQ(source.records().size(), 0U);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kConnect) == 1; }));
  ASSERT_EQ(source.Last(Op::kConnect), 0);
  ExpectSilence();
  const Fd accepted(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted);
  SetTimeouts(accepted.get(), kPeerTimeout);
  backend().StartRecv(source);
  Send(source, "hello");
  EXPECT_TRUE(SendAll(accepted.get(), "welcome"));
  ASSERT_TRUE(
      PumpUntil([&] { return source.received() == "welcome" && source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(ReceiveExactly(accepted.get(), 5), "hello");
}

TEST_P(ConnectTest, UnixSocketsConnectToo) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;  // no name: the kernel picks an abstract one
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  socklen_t length = sizeof(address);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  RecordingSource& source =
      AddSource(Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  backend().StartConnect(source, reinterpret_cast<const sockaddr*>(&address), length);
  EXPECT_EQ(source.records().size(), 0U);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kConnect) == 1; }));
  EXPECT_EQ(source.Last(Op::kConnect), 0);
}

TEST_P(ConnectTest, RefusalIsAnErrorNumberOnce) {
  const sockaddr_in nobody = RefusingAddress();
  RecordingSource& source = AddSource(MakeTcpSocket());
  backend().StartConnect(source, reinterpret_cast<const sockaddr*>(&nobody), sizeof(nobody));
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kConnect) == 1; }));
  EXPECT_EQ(source.Last(Op::kConnect), -ECONNREFUSED);
  ExpectSilence(std::chrono::milliseconds(150));
  EXPECT_EQ(source.records().size(), 1U);
}

TEST_P(ConnectTest, MissingUnixSocketIsAnErrorNumber) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string("/nonexistent/socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  RecordingSource& source =
      AddSource(Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  backend().StartConnect(source, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kConnect) == 1; }));
  EXPECT_EQ(source.Last(Op::kConnect), -ENOENT);
  ExpectSilence();
}

// A listener whose queue is full drops further SYNs: a black hole on the loopback.
TEST_P(ConnectTest, ClosedWhileConnectingTellsOnlyClosed) {
  const TestListener full = MakeListener(0);
  std::vector<Fd> fillers;
  RecordingSource* pending = nullptr;
  for (int i = 0; i < 8; ++i) {
    RecordingSource& source = AddSource(MakeTcpSocket());
    backend().StartConnect(source, reinterpret_cast<const sockaddr*>(&full.address),
                           sizeof(full.address));
    PumpFor(std::chrono::milliseconds(20));
    if (source.records().empty()) {
      pending = &source;
      break;
    }
  }
  ASSERT_NE(pending, nullptr);
  ExpectSilence();
  CloseAndPump(*pending);
  EXPECT_EQ(pending->records().size(), 1U);
  ExpectSilence();
}

TEST_P(ConnectTest, ClosedInTheTurnOfItsStart) {
  const TestListener listener = MakeListener();
  for (int i = 0; i < 20; ++i) {
    RecordingSource& source = AddSource(MakeTcpSocket());
    backend().StartConnect(source, reinterpret_cast<const sockaddr*>(&listener.address),
                           sizeof(listener.address));
    if (i % 2 == 0) backend().Wait(kPollOnly);
    CloseAndPump(source);
    EXPECT_EQ(source.records().size(), 1U);
  }
  ExpectSilence();
}

TEST_P(ConnectTest, ManyAtOnce) {
  RecordingSource& listener = Listen();
  backend().StartAccept(listener);
  std::vector<RecordingSource*> sources;
  const size_t count = 200;
  for (size_t i = 0; i < count; ++i) {
    sources.push_back(&AddSource(MakeTcpSocket()));
    backend().StartConnect(*sources.back(), generic_address(), sizeof(address()));
  }
  ASSERT_TRUE(PumpUntil([&] {
    for (RecordingSource* source : sources) {
      if (source->Count(Op::kConnect) == 0) return false;
    }
    return listener.accepted().size() == count;
  }));
  for (RecordingSource* source : sources) EXPECT_EQ(source->Last(Op::kConnect), 0);
  ExpectSilence();
}

}  // namespace
}  // namespace quintet::testing
