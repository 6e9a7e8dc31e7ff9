// Promise 19: connect, header, idle, write-stall and total deadlines, on the monotonic clock; the
// total beats drip feeding. In virtual time with 10,000 clients: deadlines_sim_test.cc.
#include <algorithm>
#include <string>
#include <vector>

#include "net/connector.h"
#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

using std::chrono::milliseconds;

// How much later than its deadline a connection may end on a busy machine.
constexpr std::chrono::seconds kSlack{3};

class DeadlinesTest : public PromiseTest {
 protected:
  // `count` HTTP clients that send `head` at once, then `byte` each `interval`, until they have got
  // a reply or an end. Checks that each got `status` (empty: an end without a word) not before
  // `deadline` and not long after it.
  void Drip(size_t count, std::string_view head, std::string_view byte, milliseconds interval,
            milliseconds deadline, std::string_view status, http::Timeouts timeouts) {
    MakeGroup();
    const auto factory = MakeHelloFactory({.limits = {}, .timeouts = timeouts, .server_name = {}});
    struct Client {
      Fd fd;
      TimePoint start{};
      TimePoint next{};
      std::string received = {};
      bool ended = false;
    };
    std::vector<Client> clients;
    for (size_t i = 0; i < count; ++i) {
      Client client{.fd = Connect(factory->CreateSession())};
      // Outside of a turn the session was told the time of the last one.
      client.start = loop().now();
      // Spread, so that they do not all speak in one turn.
      client.next = client.start + interval * static_cast<int>(i) / static_cast<int>(count);
      EXPECT_TRUE(SendAll(client.fd.get(), head));
      clients.push_back(std::move(client));
    }
    size_t ended = 0;
    EXPECT_TRUE(RunUntil([&] {
      const TimePoint now = loop().clock().Now();
      for (Client& client : clients) {
        if (client.ended) continue;
        char bytes[1024];
        const ssize_t received = ::recv(client.fd.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
        if (received > 0) client.received.append(bytes, static_cast<size_t>(received));
        if (received == 0 || (received < 0 && errno != EAGAIN)) {
          client.ended = true;
          ++ended;
          EXPECT_GE(now - client.start, deadline);
          EXPECT_LT(now - client.start, deadline + kSlack);
          EXPECT_EQ(client.received.substr(0, status.size()), status);
          EXPECT_EQ(client.received.empty(), status.empty());
          client.fd.Reset();
        } else if (now >= client.next && !byte.empty()) {
          client.next = now + interval;
          SendAll(client.fd.get(), byte);
        }
      }
      return ended == count;
    })) << ended
        << " of " << count << " have ended";
    EXPECT_TRUE(RunUntil([&] { return group()->size() == 0; }));
  }
};

TEST_P(DeadlinesTest, HeaderBeatsDripFeeding) {
  Drip(50, "GET / HTTP/1.1\r\nHost: a\r\nX: ", "x", milliseconds(40), milliseconds(400),
       "HTTP/1.1 408 ", {.header = milliseconds(400)});
}

TEST_P(DeadlinesTest, TotalBeatsDripFeedingOfTheBody) {
  // Each byte puts off the deadline of the body, none that of the request.
  Drip(50, "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "x", milliseconds(40),
       milliseconds(500), "HTTP/1.1 408 ",
       {.body = milliseconds(2000), .request = milliseconds(500)});
}

TEST_P(DeadlinesTest, BodyThatStopsComing) {
  Drip(20, "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx", "", milliseconds(0),
       milliseconds(300), "HTTP/1.1 408 ", {.body = milliseconds(300)});
}

TEST_P(DeadlinesTest, IdleBeforeTheFirstRequest) {
  Drip(20, "", "", milliseconds(0), milliseconds(300), "", {.keep_alive = milliseconds(300)});
}

TEST_P(DeadlinesTest, IdleBetweenRequests) {
  Drip(20, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", milliseconds(0), milliseconds(300),
       "HTTP/1.1 200 ", {.keep_alive = milliseconds(300)});
}

TEST_P(DeadlinesTest, WriteStall) {
  MakeGroup({.write_stall_timeout = milliseconds(300)});
  CloseReason reason = CloseReason::kNone;
  const TimePoint start = loop().clock().Now();
  const Fd client = Connect(MakeSession(
      {.on_open =
           [](ScriptedSession& session) { session.transport().Write(std::string(15 << 20, 'x')); },
       .on_closed = [&](ScriptedSession&, CloseReason why) { reason = why; }}));
  ASSERT_TRUE(RunUntil([&] { return reason != CloseReason::kNone; }));
  EXPECT_EQ(reason, CloseReason::kWriteStall);
  EXPECT_GE(loop().clock().Now() - start, milliseconds(300));
  EXPECT_LT(loop().clock().Now() - start, milliseconds(300) + kSlack);
}

// A listening socket whose queue is full drops what asks to connect: on loopback a black hole.
TEST_P(DeadlinesTest, Connect) {
  MakeGroup();
  const TestListener listener = MakeListener(0);
  std::vector<Fd> queued;
  for (int i = 0; i < 3; ++i) {
    queued.push_back(MakeTcpSocket());
    ::connect(queued.back().get(), reinterpret_cast<const sockaddr*>(&listener.address),
              sizeof(listener.address));
  }
  std::this_thread::sleep_for(milliseconds(20));
  Connector connector(*group(), {.timeout = milliseconds(300), .local = {}});
  CloseReason reason = CloseReason::kNone;
  bool opened = false;
  const TimePoint start = loop().clock().Now();
  const auto address = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&listener.address),
                                             sizeof(listener.address));
  const auto connection = connector.Connect(
      *address,
      MakeSession({.on_open = [&](ScriptedSession&) { opened = true; },
                   .on_closed = [&](ScriptedSession&, CloseReason why) { reason = why; }}));
  ASSERT_TRUE(connection.ok()) << connection.status();
  ASSERT_TRUE(RunUntil([&] { return reason != CloseReason::kNone; }));
  EXPECT_EQ(reason, CloseReason::kConnectTimeout);
  EXPECT_FALSE(opened);
  EXPECT_GE(loop().clock().Now() - start, milliseconds(300));
  EXPECT_LT(loop().clock().Now() - start, milliseconds(300) + kSlack);
}

INSTANTIATE_TEST_SUITE_P(Backends, DeadlinesTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
