// A relay that is off by a byte would let tests of crashes pass that show nothing.
#include "tests/support/tcp_relay.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <string>

#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

class TcpRelayTest : public DescriptorLeakTest {
 protected:
  // A client of the relay, and the server's end of its connection.
  struct Pair {
    Fd client;
    Fd server;
  };

  Address target() const {
    return *Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&listener_->address),
                                  sizeof(listener_->address));
  }
  Pair Connect(const TcpRelay& relay) const {
    const Address address = *Address::Parse(relay.address());
    Pair pair;
    pair.client.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    SetTimeouts(pair.client.get(), kPeerTimeout);
    EXPECT_TRUE(testing::Connect(pair.client.get(), address.data(), address.size()));
    pollfd ready{.fd = listener_->fd.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&ready, 1, 20'000), 1);
    pair.server.Reset(::accept4(listener_->fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    SetTimeouts(pair.server.get(), kPeerTimeout);
    return pair;
  }
  void TearDown() override {
    listener_.reset();
    DescriptorLeakTest::TearDown();
  }

 private:
  std::unique_ptr<TestListener> listener_ = std::make_unique<TestListener>(MakeListener());
};

TEST_F(TcpRelayTest, ForwardsEverythingBothWaysAndTheEnds) {
  TcpRelay relay(target());
  Pair pair = Connect(relay);
  const std::string request = PatternBytes(3 << 16, 1);
  const std::string answer = PatternBytes(5 << 14, 2);
  EXPECT_TRUE(SendAll(pair.client.get(), request));
  EXPECT_EQ(::shutdown(pair.client.get(), SHUT_WR), 0);
  EXPECT_TRUE(ReceiveToEnd(pair.server.get()) == request);
  EXPECT_TRUE(SendAll(pair.server.get(), answer));
  pair.server.Reset();
  EXPECT_TRUE(ReceiveToEnd(pair.client.get()) == answer);
  EXPECT_EQ(relay.forwarded(TcpRelay::kToServer), request.size());
  EXPECT_EQ(relay.forwarded(TcpRelay::kToClient), answer.size());
  EXPECT_FALSE(relay.reached());
}

TEST_F(TcpRelayTest, NotOneByteIsForwardedBeyondThePoint) {
  const std::string bytes = PatternBytes(200'000, 3);
  for (const size_t point : {size_t{1}, size_t{65'536}, size_t{65'537}, bytes.size()}) {
    SCOPED_TRACE(point);
    std::atomic<int> calls = 0;
    TcpRelay relay(target(), {.direction = TcpRelay::kToServer, .bytes = point, .action = [&] {
                                ++calls;
                                return false;
                              }});
    Pair pair = Connect(relay);
    SendAll(pair.client.get(), bytes);
    // Bytes that were not read make the end of the other side a reset.
    EXPECT_TRUE(ReceiveToEnd(pair.server.get()) == bytes.substr(0, point));
    EXPECT_EQ(ReceiveToEnd(pair.client.get()), "");
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(relay.reached());
    EXPECT_EQ(relay.forwarded(TcpRelay::kToServer), point);
  }
}

TEST_F(TcpRelayTest, GoesOnBehindThePointIfTold) {
  const std::string bytes = PatternBytes(200'000, 4);
  TcpRelay* seen = nullptr;
  uint64_t forwarded_then = 0;
  TcpRelay relay(target(), {.direction = TcpRelay::kToClient, .bytes = 100'000, .action = [&] {
                              forwarded_then = seen->forwarded(TcpRelay::kToClient);
                              return true;
                            }});
  seen = &relay;
  Pair pair = Connect(relay);
  EXPECT_TRUE(SendAll(pair.server.get(), bytes));
  pair.server.Reset();
  EXPECT_TRUE(ReceiveToEnd(pair.client.get()) == bytes);
  EXPECT_TRUE(relay.reached());
  EXPECT_EQ(forwarded_then, 100'000U);
}

}  // namespace
}  // namespace quintet::testing
