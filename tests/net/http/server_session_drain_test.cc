// Drains of HTTP sessions: no client finds a connection closed that it was told would stay.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"

namespace quintet::testing {
namespace {

using http::Exchange;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kGetLate = "GET /late HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kGarbage = "\x16\x03\x01 no request";

// The Connection fields of all responses so far.
std::vector<std::string> Connections(const HttpPeer& peer) {
  std::vector<std::string> values;
  const ParsedOutput parsed = peer.Parse();
  EXPECT_EQ(parsed.rest, "");
  for (const ParsedResponse& response : parsed.responses) {
    values.push_back(response.Field("Connection"));
  }
  return values;
}

using Values = std::vector<std::string>;

void AnswerLate(HttpPeer& peer, size_t number) {
  peer.late().at(number).Run([](Exchange& exchange) { exchange.Reply(200, "late"); });
  peer.transport().RunTasks();
}

TEST(ServerSessionDrainTest, IdleConnectionStaysAndItsNextResponseIsTheLast) {
  HttpPeer peer;
  peer.transport().Feed(kGet);
  peer.transport().Drain();
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Feed(kGet);
  EXPECT_EQ(Connections(peer), (Values{"", "close"}));
  EXPECT_EQ(peer.Parse().responses[1].body, "Hello, World!");
  EXPECT_TRUE(peer.transport().closing());
  EXPECT_FALSE(peer.transport().aborted());
}

TEST(ServerSessionDrainTest, ConnectionThatIsNewGetsItsFirstAnswer) {
  HttpPeer peer;
  peer.transport().Drain();
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Feed(kGet);
  EXPECT_EQ(Connections(peer), Values{"close"});
  EXPECT_TRUE(peer.transport().closing());
}

TEST(ServerSessionDrainTest, RequestThatHasBegunIsAnswered) {
  for (const std::string_view request :
       {kGet, std::string_view("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
        std::string_view("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")}) {
    for (size_t at = 1; at < request.size(); ++at) {
      SCOPED_TRACE(request.substr(0, at));
      HttpPeer peer;
      peer.transport().Feed(request.substr(0, at));
      const bool begun = !peer.transport().received().empty();
      peer.transport().Drain();
      EXPECT_FALSE(peer.transport().closing());
      peer.transport().Feed(request.substr(at));
      ASSERT_EQ(peer.Parse().responses.size(), 1U);
      EXPECT_EQ(peer.Parse().responses[0].status, 200);
      // Where the head had left already it said that the connection stays, and that holds.
      EXPECT_EQ(peer.Parse().responses[0].Field("Connection"), begun ? "" : "close");
      EXPECT_EQ(peer.transport().closing(), !begun);
    }
  }
}

TEST(ServerSessionDrainTest, ConnectionWhoseResponseHadBegunStaysForTheNext) {
  HttpPeer peer;
  peer.transport().Feed("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
  peer.transport().Drain();
  peer.transport().Feed("dy");
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Feed(kGet);
  EXPECT_EQ(Connections(peer), (Values{"", "close"}));
  EXPECT_TRUE(peer.transport().closing());
}

// Whatever has been read is answered; only the last response can say that it is the last.
TEST(ServerSessionDrainTest, PipelinedRequestsAtEverySplit) {
  const std::vector<std::string> requests = {
      std::string(kGet),
      "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      "GET /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      std::string(kGet)};
  std::string input;
  std::vector<size_t> ends;
  for (const std::string& request : requests) {
    input += request;
    ends.push_back(input.size());
  }
  for (size_t at = 0; at <= input.size(); ++at) {
    SCOPED_TRACE(at);
    HttpPeer peer;
    peer.transport().Drain();
    peer.transport().Feed(std::string_view(input).substr(0, at));
    const bool announced = peer.transport().received().find("close") != std::string::npos;
    peer.transport().Feed(std::string_view(input).substr(at));
    const Values values = Connections(peer);
    ASSERT_FALSE(values.empty());
    for (size_t i = 0; i + 1 < values.size(); ++i) EXPECT_EQ(values[i], "");
    EXPECT_EQ(values.back(), "close");
    EXPECT_TRUE(peer.transport().closing());
    // Where the first arrival ended with the last request that had been read when its response
    // began, that one ended the connection. Nothing that was read whole is left out.
    size_t read = 0;
    while (read < ends.size() && ends[read] <= at) ++read;
    EXPECT_GE(values.size(), read);
    if (!announced) {
      EXPECT_EQ(values.size(), requests.size());
    }
  }
}

TEST(ServerSessionDrainTest, PipelinedRequestsBehindALateResponse) {
  HttpPeer peer;
  peer.transport().Feed(std::string(kGetLate) + std::string(kGet));
  peer.transport().Drain();
  EXPECT_FALSE(peer.transport().closing());
  AnswerLate(peer, 0);
  EXPECT_EQ(Connections(peer), (Values{"", "close"}));
  EXPECT_TRUE(peer.transport().closing());
}

TEST(ServerSessionDrainTest, RequestThatArrivesBehindALateResponseDuringTheDrain) {
  HttpPeer peer;
  peer.transport().Feed(kGetLate);
  peer.transport().Drain();
  peer.transport().Feed(kGet);
  AnswerLate(peer, 0);
  EXPECT_EQ(Connections(peer), (Values{"", "close"}));
}

TEST(ServerSessionDrainTest, LateResponseAloneIsTheLast) {
  HttpPeer peer;
  peer.transport().Feed(kGetLate);
  peer.transport().Drain();
  EXPECT_FALSE(peer.transport().closing());
  AnswerLate(peer, 0);
  EXPECT_EQ(Connections(peer), Values{"close"});
  EXPECT_TRUE(peer.transport().closing());
}

// Its response begins before its end is looked at; it is the last all the same.
TEST(ServerSessionDrainTest, ChunkedRequestAloneIsTheLast) {
  for (const std::string_view end : {"0\r\n\r\n", "0\r\nTrailer: field\r\n\r\n"}) {
    HttpPeer peer;
    peer.transport().Drain();
    peer.transport().Feed("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                          std::string("3\r\nabc\r\n2\r\nde\r\n").append(end));
    EXPECT_EQ(peer.Parse().responses.at(0).body, "abcde");
    EXPECT_EQ(Connections(peer), Values{"close"});
    EXPECT_TRUE(peer.transport().closing());
  }
}

// Two requests that had to wait for the peer to read, not for each other.
TEST(ServerSessionDrainTest, RequestsThatWaitForAPeerThatDoesNotRead) {
  HttpPeer::Setup setup;
  setup.marks = {.high_bytes = 10, .low_bytes = 5};
  HttpPeer peer(setup);
  peer.transport().set_auto_take(false);
  peer.transport().Feed(std::string(kGet) + std::string(kGet) + std::string(kGet));
  peer.transport().Drain();
  peer.transport().set_auto_take(true);
  for (int i = 0; i < 3; ++i) peer.transport().Take(peer.transport().output_bytes());
  EXPECT_EQ(Connections(peer), (Values{"", "", "close"}));
}

// The response comes before the body: what was read behind the body is another request, and what
// was read of the body is none.
TEST(ServerSessionDrainTest, ResponseBeforeTheBody) {
  constexpr std::string_view kHead =
      "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
  for (const std::string_view body : {"", "b", "body"}) {
    HttpPeer peer;
    peer.transport().Drain();
    peer.transport().Feed(std::string(kHead) + std::string(body));
    EXPECT_EQ(Connections(peer), Values{"close"}) << body;
    EXPECT_TRUE(peer.transport().closing());
  }
  HttpPeer peer;
  peer.transport().Drain();
  peer.transport().Feed(std::string(kHead) + "body" + std::string(kGet));
  EXPECT_EQ(Connections(peer), (Values{"", "close"}));
}

TEST(ServerSessionDrainTest, WhatIsNoRequestIsRefusedAsEver) {
  HttpPeer peer;
  peer.transport().Drain();
  peer.transport().Feed(std::string(kGet) + std::string(kGarbage));
  const ParsedOutput parsed = peer.Parse();
  ASSERT_EQ(parsed.responses.size(), 2U);
  EXPECT_EQ(parsed.responses[1].status, 400);
  EXPECT_EQ(parsed.responses[1].Field("Connection"), "close");
}

TEST(ServerSessionDrainTest, EndOfFileAndKeepAliveTimeoutEndAnIdleConnection) {
  HttpPeer::Setup setup;
  setup.options.timeouts.keep_alive = std::chrono::seconds(3);
  HttpPeer waiting(setup);
  waiting.transport().Drain();
  waiting.transport().Advance(std::chrono::seconds(2));
  EXPECT_FALSE(waiting.transport().closing());
  waiting.transport().Advance(std::chrono::seconds(2));
  EXPECT_TRUE(waiting.transport().closing());
  EXPECT_EQ(waiting.transport().received(), "");

  HttpPeer leaving;
  leaving.transport().Drain();
  leaving.transport().FeedEof();
  EXPECT_TRUE(leaving.transport().closing());
}

TEST(ServerSessionDrainTest, IsIdleBetweenRequestsOnly) {
  HttpPeer peer;
  const Session& session = peer.transport().session();
  EXPECT_TRUE(session.idle());
  peer.transport().Feed("\r\n");  // no request yet (RFC 9112 section 2.2)
  EXPECT_TRUE(session.idle());
  peer.transport().Feed(kGet.substr(0, 1));
  EXPECT_FALSE(session.idle());
  peer.transport().Feed(kGet.substr(1));
  EXPECT_TRUE(session.idle());
  peer.transport().Feed(kGetLate);
  EXPECT_FALSE(session.idle());
  AnswerLate(peer, 0);
  EXPECT_TRUE(session.idle());
  peer.transport().Feed("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbod");
  EXPECT_FALSE(session.idle());
  peer.transport().Feed("y");
  EXPECT_TRUE(session.idle());
}

TEST(ServerSessionDrainTest, ExchangeKnowsWhetherTheServerStops) {
  auto router = std::make_unique<http::Router>();
  router->Get("/",
              [](Exchange& exchange) { exchange.Reply(200, exchange.stopping() ? "y" : "n"); });
  HttpPeer peer({}, std::move(router));
  peer.transport().Feed(kGet);
  peer.transport().set_stopping(true);
  // Before the drain nothing else changes.
  peer.transport().Feed(kGet);
  EXPECT_EQ(peer.Parse().responses.at(0).body, "n");
  EXPECT_EQ(peer.Parse().responses.at(1).body, "y");
  EXPECT_EQ(Connections(peer), (Values{"", ""}));
}

}  // namespace
}  // namespace quintet::testing
