// Outgoing connections over each real backend; timeouts and late answers in virtual time are in
// connection_test.cc.
#include "net/connector.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "net/connection.h"
#include "reactor/event_loop.h"
#include "tests/net/scripted_session.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/backend_test.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

Address ToAddress(const sockaddr_in& address) {
  return *Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

class ConnectorTest : public DescriptorLeakTest, public ::testing::WithParamInterface<BackendKind> {
 protected:
  void SetUp() override {
    if (!RequireBackend(GetParam())) return;
    EventLoopOptions loop_options;
    loop_options.backend.kind = GetParam();
    loop_options.backend.log = nullptr;
    loop = *EventLoop::Create(loop_options);
    ASSERT_EQ(loop->backend().kind(), GetParam());
    group = std::make_unique<ConnectionGroup>(*loop, ConnectionOptions());
  }
  void TearDown() override {
    group.reset();
    loop.reset();
    DescriptorLeakTest::TearDown();
  }
  Connection* Connect(const sockaddr_in& to, ConnectorOptions options = {}) {
    Connector connector(*group, std::move(options));
    // Gone after the call: whoever still needs the address has a copy.
    const auto address = std::make_unique<Address>(ToAddress(to));
    auto connection = connector.Connect(*address, NewSession(script));
    EXPECT_TRUE(connection.ok()) << connection.status();
    return connection.ok() ? *connection : nullptr;
  }
  [[nodiscard]] bool RunUntil(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done() && std::chrono::steady_clock::now() < end) loop->RunOnce(10ms);
    return done();
  }

  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<ConnectionGroup> group;
  Script script;
};

TEST_P(ConnectorTest, ConnectsAndSendsWhatWasWrittenBefore) {
  const TestListener listener = MakeListener();
  Connection* const connection = Connect(listener.address);
  EXPECT_EQ(connection->state(), Connection::State::kConnecting);
  connection->Write("early");
  ASSERT_TRUE(RunUntil([&] { return script.Count("open") == 1; }));
  Fd accepted(::accept(listener.fd.get(), nullptr, nullptr));
  SetTimeouts(accepted.get(), kPeerTimeout);
  ASSERT_TRUE(RunUntil([&] { return connection->output_bytes() == 0; }));
  EXPECT_EQ(ReceiveExactly(accepted.get(), 5), "early");
  ASSERT_TRUE(SendAll(accepted.get(), "reply"));
  ASSERT_TRUE(RunUntil([&] { return script.received == "reply"; }));
  accepted.Reset();
  ASSERT_TRUE(RunUntil([&] { return script.closed(); }));
  EXPECT_EQ(script.reason, CloseReason::kPeerClosed);
}

TEST_P(ConnectorTest, RefusedIsToldWithoutOpen) {
  Connect(RefusingAddress());
  ASSERT_TRUE(RunUntil([&] { return script.closed(); }));
  EXPECT_EQ(script.reason, CloseReason::kConnectFailed);
  EXPECT_EQ(script.calls, std::vector<std::string>{"closed"});
}

// A listener whose backlog is full leaves further clients without an answer.
TEST_P(ConnectorTest, TimesOut) {
  const TestListener listener = MakeListener(/*backlog=*/0);
  const Fd first = ConnectTo(listener.address);
  Fd second = MakeTcpSocket();
  ::connect(second.get(), reinterpret_cast<const sockaddr*>(&listener.address),
            sizeof(listener.address));
  Connect(listener.address, {.timeout = 200ms, .local = {}});
  ASSERT_TRUE(RunUntil([&] { return script.closed(); }));
  EXPECT_EQ(script.reason, CloseReason::kConnectTimeout);
  EXPECT_EQ(script.Count("open"), 0U);
}

TEST_P(ConnectorTest, AbortedWhileConnecting) {
  const TestListener listener = MakeListener();
  Connect(listener.address)->Abort(CloseReason::kAborted);
  ASSERT_TRUE(RunUntil([&] { return script.closed(); }));
  EXPECT_EQ(script.reason, CloseReason::kAborted);
  EXPECT_EQ(script.Count("open"), 0U);
}

TEST_P(ConnectorTest, GroupDestroyedWhileConnecting) {
  const TestListener listener = MakeListener();
  Connect(listener.address);
  group.reset();
  ASSERT_TRUE(RunUntil([&] { return script.destroyed; }));
  EXPECT_EQ(script.reason, CloseReason::kAborted);
}

TEST_P(ConnectorTest, BindsTheLocalAddress) {
  const TestListener listener = MakeListener();
  Connect(listener.address, {.local = *Address::Parse("127.0.0.2:0")});
  ASSERT_TRUE(RunUntil([&] { return script.Count("open") == 1; }));
  sockaddr_in peer{};
  socklen_t length = sizeof(peer);
  const Fd accepted(::accept(listener.fd.get(), reinterpret_cast<sockaddr*>(&peer), &length));
  EXPECT_EQ(ntohl(peer.sin_addr.s_addr), 0x7f000002U);
}

TEST_P(ConnectorTest, ALocalAddressThatIsNotOursIsAnError) {
  const TestListener listener = MakeListener();
  Connector connector(*group, {.local = *Address::Parse("192.0.2.1:0")});
  const auto connection = connector.Connect(ToAddress(listener.address), NewSession(script));
  EXPECT_FALSE(connection.ok());
  EXPECT_TRUE(script.destroyed);
  EXPECT_TRUE(script.calls.empty());
}

INSTANTIATE_TEST_SUITE_P(Backends, ConnectorTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
