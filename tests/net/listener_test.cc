#include "net/listener.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/net/sim_fixture.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

class ListenerTest : public SimTest {
 protected:
  ListenerTest() {
    group = std::make_unique<ConnectionGroup>(*loop, options);
    listener = *Listener::Create(*loop, Socket(network.Listen(80)), [this](Socket socket) {
      scripts.push_back(std::make_unique<Script>());
      auto adopted = group->Adopt(std::move(socket), NewSession(*scripts.back()));
      EXPECT_TRUE(adopted.ok());
      if (then) then();
    });
  }
  void TearDown() override {
    listener.reset();
    peers.clear();
    SimTest::TearDown();
  }
  SimPeer& Connect() {
    peers.push_back(std::make_unique<SimPeer>(network));
    peers.back()->Connect(80);
    return *peers.back();
  }

  ListenerPtr listener;
  std::function<void()> then;
  std::vector<std::unique_ptr<Script>> scripts;
  std::vector<std::unique_ptr<SimPeer>> peers;
};

TEST_F(ListenerTest, HandsOverEachConnectionOnce) {
  for (int i = 0; i < 100; ++i) Connect();
  RunFor(10ms);
  EXPECT_EQ(scripts.size(), 100U);
  EXPECT_EQ(listener->accepted(), 100U);
  for (const auto& one : peers) EXPECT_TRUE(one->connected());
}

TEST_F(ListenerTest, TheEndTakesThoseWhoWait) {
  listener->Pause();
  for (int i = 0; i < 10; ++i) Connect();
  RunFor(10ms);
  EXPECT_EQ(listener->accepted(), 0U);
  bool finished = false;
  listener->Finish(Backlog::kTake, [&] { finished = true; });
  ASSERT_TRUE(RunUntil([&] { return finished; }));
  EXPECT_EQ(listener->accepted(), 10U);
}

TEST_F(ListenerTest, TheEndLeavesThemToOthers) {
  listener->Pause();
  for (int i = 0; i < 10; ++i) Connect();
  RunFor(10ms);
  bool finished = false;
  listener->Finish(Backlog::kLeave, [&] { finished = true; });
  ASSERT_TRUE(RunUntil([&] { return finished; }));
  EXPECT_EQ(listener->accepted(), 0U);
}

TEST_F(ListenerTest, PausedClientsWaitInTheBacklog) {
  listener->Pause();
  Connect();
  RunFor(1s);
  EXPECT_EQ(listener->accepted(), 0U);
  listener->Resume();
  listener->Resume();
  RunFor(1ms);
  EXPECT_EQ(listener->accepted(), 1U);
}

TEST_F(ListenerTest, OutOfDescriptorsItPausesAndHeals) {
  backend->set_descriptor_limit(3);  // the listener and two connections
  for (int i = 0; i < 5; ++i) Connect();
  RunFor(1s);
  EXPECT_EQ(listener->accepted(), 2U);
  EXPECT_EQ(listener->exhaustions(), 1U);
  ASSERT_EQ(log.size(), 1U) << "an episode is logged once";
  EXPECT_NE(log[0].find("accept"), std::string::npos);
  // It rests between the tries instead of spinning.
  const uint64_t turns = loop->stats().turns;
  RunFor(1s);
  EXPECT_LE(loop->stats().turns - turns, 25U);
  // Existing connections go on meanwhile.
  peers[0]->Send("x");
  RunFor(10ms);
  EXPECT_EQ(scripts[0]->received, "x");
  peers[0]->Reset();
  RunFor(Listener::kRetryInterval + 10ms);
  EXPECT_EQ(listener->accepted(), 3U);
  EXPECT_EQ(log.size(), 1U) << "one connection that came and went is no new episode";
  EXPECT_EQ(listener->exhaustions(), 1U);
  backend->set_descriptor_limit(0);
  RunFor(Listener::kRetryInterval + 10ms);
  EXPECT_EQ(listener->accepted(), 5U);
  EXPECT_EQ(log.size(), 1U);
  // Long after the last error another one begins an episode.
  RunFor(1s);
  backend->FailNext(Op::kAccept, EMFILE);
  Connect();
  RunFor(1s);
  EXPECT_EQ(listener->accepted(), 6U);
  EXPECT_EQ(log.size(), 2U);
  EXPECT_EQ(listener->exhaustions(), 2U);
}

TEST_F(ListenerTest, RetryEndsThePauseAtOnce) {
  backend->FailNext(Op::kAccept, ENFILE);
  Connect();
  RunFor(10ms);
  EXPECT_EQ(listener->accepted(), 0U);
  listener->Retry();
  RunFor(1ms);
  EXPECT_EQ(listener->accepted(), 1U);
  listener->Retry();  // nothing to do
  RunFor(1ms);
}

TEST_F(ListenerTest, EveryExhaustionHeals) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    const uint64_t before = listener->accepted();
    const uint64_t episodes = listener->exhaustions();
    backend->FailNext(Op::kAccept, error, 3);
    Connect();
    RunFor(4 * Listener::kRetryInterval + 50ms);
    EXPECT_EQ(listener->accepted(), before + 1) << error;
    EXPECT_EQ(listener->exhaustions(), episodes + 1) << error;
  }
}

TEST_F(ListenerTest, TransientErrorsAreNotSeen) {
  backend->FailNext(Op::kAccept, ECONNABORTED, 1000);
  for (int i = 0; i < 1010; ++i) Connect();
  RunFor(1s);
  EXPECT_EQ(listener->accepted(), 10U);
  EXPECT_EQ(backend->stats().accept_retries, 1000U);
  EXPECT_TRUE(log.empty());
}

TEST_F(ListenerTest, OtherErrorsAreTriedAgain) {
  backend->FailNext(Op::kAccept, EINVAL, 2);
  Connect();
  RunFor(1s);
  EXPECT_EQ(listener->accepted(), 1U);
  EXPECT_EQ(listener->exhaustions(), 0U);
  EXPECT_EQ(log.size(), 1U);
}

TEST_F(ListenerTest, PausedDuringAnEpisodeItResumes) {
  backend->FailNext(Op::kAccept, EMFILE);
  Connect();
  RunFor(10ms);
  ASSERT_EQ(listener->exhaustions(), 1U);
  listener->Pause();
  RunFor(1s);  // the retry finds it paused
  EXPECT_EQ(listener->accepted(), 0U);
  listener->Resume();
  RunFor(1s);
  EXPECT_EQ(listener->accepted(), 1U);
}

TEST_F(ListenerTest, DestroyedInsideItsCallback) {
  then = [this] { listener.reset(); };
  Connect();
  SimPeer& late = Connect();
  RunFor(10ms);
  EXPECT_EQ(scripts.size(), 1U);
  EXPECT_EQ(backend->attached_sources(), 1U);  // the accepted connection
  EXPECT_TRUE(late.saw_reset() || late.refused());
}

TEST_F(ListenerTest, DestroyedDuringAnEpisode) {
  backend->FailNext(Op::kAccept, EMFILE, 100);
  Connect();
  RunFor(10ms);
  listener.reset();
  RunFor(1s);
  EXPECT_EQ(backend->attached_sources(), 0U);
}

TEST_F(ListenerTest, OutlivesItsLoop) {
  group.reset();
  loop.reset();
  listener.reset();
}

TEST_F(ListenerTest, PauseInsideItsCallback) {
  then = [this] { listener->Pause(); };
  Connect();
  Connect();
  RunFor(10ms);
  EXPECT_EQ(listener->accepted(), 1U);
  listener->Resume();
  RunFor(10ms);
  EXPECT_EQ(listener->accepted(), 2U);
}

// ---- ListenOn(), on real sockets ----

class ListenOnTest : public DescriptorLeakTest {
 protected:
  void TearDown() override {
    std::filesystem::remove(path_);
    DescriptorLeakTest::TearDown();
  }
  Address UnixAddress() const { return *Address::Parse("unix:" + path_); }
  // Whether somebody listens there.
  static bool Answers(const Address& address) {
    const Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    return quintet::testing::Connect(fd.get(), address.data(), address.size());
  }

  const std::string path_ = ::testing::TempDir() + "/quintet_listen_" + std::to_string(::getpid());
};

TEST_F(ListenOnTest, FileThatADeadProcessHasLeftIsReplaced) {
  ASSERT_TRUE(ListenOn(UnixAddress(), {}).ok());  // closed again; the file stays
  ASSERT_TRUE(std::filesystem::exists(path_));
  const auto socket = ListenOn(UnixAddress(), {});
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_TRUE(Answers(UnixAddress()));
}

TEST_F(ListenOnTest, UnixAddressInUseIsLeftToItsOwner) {
  const auto owner = ListenOn(UnixAddress(), {});
  ASSERT_TRUE(owner.ok()) << owner.status();
  const auto intruder = ListenOn(UnixAddress(), {});
  EXPECT_EQ(intruder.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(intruder.status().message()), ::testing::HasSubstr(path_));
  EXPECT_TRUE(Answers(UnixAddress()));
}

TEST_F(ListenOnTest, FileThatIsNoSocketIsNotRemoved) {
  std::ofstream(path_) << "precious";
  const auto socket = ListenOn(UnixAddress(), {});
  EXPECT_EQ(socket.status().code(), absl::StatusCode::kAlreadyExists);
  std::string content;
  std::ifstream(path_) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(ListenOnTest, ConnectionsInTimeWaitDoNotKeepThePort) {
  auto first = ListenOn(*Address::Parse("127.0.0.1:0"), {});
  ASSERT_TRUE(first.ok()) << first.status();
  const Address address = *first->LocalAddress();
  Fd client = ConnectTo(*reinterpret_cast<const sockaddr_in*>(address.data()));
  ASSERT_TRUE(client);
  // Who closes first is left in TIME_WAIT.
  Fd(::accept4(first->fd(), nullptr, nullptr, SOCK_CLOEXEC)).Reset();
  EXPECT_EQ(ReceiveToEnd(client.get()), "");
  client.Reset();
  *first = Socket();
  const auto again = ListenOn(address, {});
  EXPECT_TRUE(again.ok()) << again.status();
}

TEST_F(ListenOnTest, PortIsSharedOnlyOnRequest) {
  const auto owner = ListenOn(*Address::Parse("127.0.0.1:0"), {.reuse_port = true});
  ASSERT_TRUE(owner.ok()) << owner.status();
  const Address address = *owner->LocalAddress();
  EXPECT_TRUE(ListenOn(address, {.reuse_port = true}).ok());
  EXPECT_EQ(ListenOn(address, {}).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(ListenOnTest, Ipv6TakesNoIpv4) {
  // Of a particular address nothing else is to be expected (ipv6(7)).
  const auto socket = ListenOn(*Address::Parse("[::]:0"), {});
  if (!socket.ok()) GTEST_SKIP() << "no IPv6 here: " << socket.status();
  int only = 0;
  socklen_t size = sizeof(only);
  ASSERT_EQ(::getsockopt(socket->fd(), IPPROTO_IPV6, IPV6_V6ONLY, &only, &size), 0);
  EXPECT_EQ(only, 1);
}

}  // namespace
}  // namespace quintet::testing
