// Promise 10: a flooding peer, an accept storm and a task that posts itself, all at once, starve
// nobody: a timer of 1 ms and a pinger are served all the while.
#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "net/listener.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

// The load lasts until so many pings were answered. Who is starved waits as long as the load lasts:
// a ping that is fails by the peer's timeout.
constexpr size_t kPings = 100;

class StarvationTest : public PromiseTest {};

TEST_P(StarvationTest, FloodAcceptStormAndSelfPostingTaskAtOnce) {
  MakeGroup();
  auto socket = ListenOn(*Address::Parse("127.0.0.1:0"), {.backlog = 512, .reuse_port = false});
  ASSERT_TRUE(socket.ok()) << socket.status();
  const Address address = *socket->LocalAddress();
  const auto connect = [&address] {
    return ConnectTo(*reinterpret_cast<const sockaddr_in*>(address.data()));
  };

  std::atomic<bool> over = false;
  uint64_t flooded = 0;
  uint64_t accepted = 0;
  uint64_t posted = 0;
  // Says "flood" or "ping" with its first byte: the one is swallowed, the other answered.
  const ScriptedSession::Script script{
      .on_data = [&](ScriptedSession& session, std::string_view bytes) {
        if (bytes.front() == 'p') {
          session.transport().Write(bytes);
        } else {
          flooded += bytes.size();
        }
        return bytes.size();
      }};
  auto listener = Listener::Create(loop(), *std::move(socket), [&](Socket accepted_socket) {
    ++accepted;
    Adopt(Fd(accepted_socket.Release()), MakeSession(script));
  });
  ASSERT_TRUE(listener.ok()) << listener.status();

  const std::function<void()> repost = [&] {
    ++posted;
    if (!over) loop().Post(repost);
  };
  loop().Post(repost);
  size_t ticks = 0;
  loop().RunEvery(std::chrono::milliseconds(1), [&] { ++ticks; });

  std::thread flooder([&] {
    const Fd client = connect();
    const std::string bytes(64 << 10, 'f');
    while (!over && SendAll(client.get(), bytes)) {
    }
  });
  std::thread storm([&] {
    while (!over) {
      Fd client = connect();
      // A reset leaves no socket in TIME_WAIT: the ports of the machine last.
      if (client) Reset(client);
    }
  });
  size_t pings = 0;
  std::thread pinger([&] {
    const Fd client = connect();
    while (pings < kPings) {
      if (!SendAll(client.get(), "p") || ReceiveExactly(client.get(), 1) != "p") break;
      ++pings;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    over = true;
  });
  while (!over) loop().RunOnce(std::chrono::milliseconds(1));
  // Both may be waiting for the loop to read or to accept.
  std::atomic<bool> joined = false;
  std::thread joiner([&] {
    flooder.join();
    storm.join();
    pinger.join();
    joined = true;
  });
  while (!joined) loop().RunOnce(std::chrono::milliseconds(1));
  joiner.join();

  EXPECT_EQ(pings, kPings) << "a ping was not answered";
  // Two milliseconds or more lie between two pings, and a turn of the loop.
  EXPECT_GT(ticks, kPings / 2) << "the timer was held up";
  // The load was there.
  EXPECT_GT(flooded, 1U << 20);
  EXPECT_GT(accepted, 20U);
  EXPECT_GT(posted, kPings);
}

INSTANTIATE_TEST_SUITE_P(Backends, StarvationTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
