// Promise 19, in virtual time: 10,000 clients that send one byte a second are closed on time.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/connection_group.h"
#include "net/listener.h"
#include "reactor/sim/sim_backend.h"
#include "reactor/sim/sim_peer.h"
#include "tests/promises/hello_factory.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using std::chrono::seconds;

constexpr uint16_t kPort = 80;

class DeadlinesSimTest : public ::testing::Test {
 protected:
  struct Client {
    std::unique_ptr<SimPeer> peer = {};
    TimePoint first_byte{};
    TimePoint answered = kNever;
  };

  // Clients come one after another within ten seconds, send `head`, then a byte a second for as
  // long as nobody answers. All must be answered with 408 `deadline` after they began, no second
  // later.
  void Drip(std::string_view head, Duration deadline, const http::Timeouts& timeouts) {
    const size_t count = static_cast<size_t>(Scaled(10'000));
    const auto factory = MakeHelloFactory({.limits = {}, .timeouts = timeouts, .server_name = {}});
    SimNetwork network;
    auto loop = EventLoop::CreateWith(std::make_unique<SimBackend>(network), network.clock());
    ConnectionGroup group(*loop, {});
    auto listener = Listener::Create(*loop, Socket(network.Listen(kPort)), [&](Socket socket) {
      ASSERT_TRUE(group.Adopt(std::move(socket), factory->CreateSession()).ok());
    });
    ASSERT_TRUE(listener.ok()) << listener.status();

    std::vector<Client> clients(count);
    size_t answered = 0;
    const std::function<void(Client&)> drip = [&](Client& client) {
      if (client.answered != kNever || client.peer->closed()) return;
      client.peer->Send("x");
      network.After(seconds(1), [&drip, &client] { drip(client); });
    };
    for (size_t i = 0; i < count; ++i) {
      Client& client = clients[i];
      network.After(seconds(10) * i / count, [&, head] {
        client.peer = std::make_unique<SimPeer>(network);
        client.peer->set_on_receive([&](std::string_view) {
          if (client.answered != kNever) return;
          client.answered = network.Now();
          ++answered;
          client.peer->ShutdownSend();
        });
        client.peer->Connect(kPort);
        client.peer->Send(head);
        client.first_byte = network.Now();
        network.After(seconds(1), [&drip, &client] { drip(client); });
      });
    }
    const TimePoint end = network.Now() + seconds(10) + deadline + seconds(30);
    while (answered < count && network.Now() < end) loop->RunOnce(seconds(1));

    EXPECT_EQ(answered, count);
    size_t wrong = 0;
    for (const Client& client : clients) {
      const bool on_time = client.answered >= client.first_byte + deadline &&
                           client.answered <= client.first_byte + deadline + seconds(1);
      const bool said = client.peer->received().starts_with("HTTP/1.1 408 ");
      if (!on_time || !said) ++wrong;
    }
    EXPECT_EQ(wrong, 0U) << "of " << count << " clients";
    // The staged close ends as well: nobody stays.
    const TimePoint gone = network.Now() + seconds(10);
    while (group.size() > 0 && network.Now() < gone) loop->RunOnce(seconds(1));
    EXPECT_EQ(group.size(), 0U);
  }
};

TEST_F(DeadlinesSimTest, HeaderAtOneByteASecond) {
  Drip("GET / HTTP/1.1\r\nHost: a\r\nX: ", seconds(10), {});
}

TEST_F(DeadlinesSimTest, BodyAtOneByteASecond) {
  Drip("POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", seconds(20),
       {.body = seconds(5), .request = seconds(20)});
}

}  // namespace
}  // namespace quintet::testing
