#include "net/http/server_session.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"

namespace quintet::testing {
namespace {

using http::Exchange;
using http::ExchangeHandle;
using http::RouteOptions;
using http::Router;
using http::ServerSession;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kGetLate = "GET /late HTTP/1.1\r\nHost: a\r\n\r\n";

// What an idle connection costs beside its transport (promise 29).
static_assert(sizeof(ServerSession) <= 100);

std::vector<int> Statuses(const ParsedOutput& parsed) {
  std::vector<int> statuses;
  for (const ParsedResponse& response : parsed.responses) statuses.push_back(response.status);
  return statuses;
}

std::string Sixteen() {
  std::string input;
  for (int i = 0; i < 16; ++i) {
    input += "GET /about/" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  return input;
}

void ExpectSixteen(const ParsedOutput& parsed) {
  ASSERT_EQ(parsed.responses.size(), 16U);
  for (size_t i = 0; i < 16; ++i) {
    const std::string number = std::to_string(i);
    EXPECT_EQ(parsed.responses[i].body, "a|/about/" + number + "||" + number + "|1");
  }
  EXPECT_EQ(parsed.rest, "");
}

std::unique_ptr<Router> OneRoute(std::string_view method, http::Handler handler,
                                 RouteOptions options = {}) {
  auto router = std::make_unique<Router>();
  router->Handle(method, "/", std::move(handler), options);
  return router;
}

RouteOptions Streaming() {
  RouteOptions options;
  options.body = RouteOptions::Body::kStream;
  options.body_bytes = RouteOptions::kUnlimited;
  return options;
}

// ---- responses ----

TEST(ServerSessionTest, AnswersHello) {
  HttpPeer peer;
  peer.transport().Feed(kGet);
  EXPECT_EQ(peer.transport().received(),
            "HTTP/1.1 200 OK\r\n"
            "Date: Sun, 01 Mar 2026 12:34:56 GMT\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 13\r\n\r\n"
            "Hello, World!");
  EXPECT_FALSE(peer.transport().closing());
}

TEST(ServerSessionTest, HeadHasTheFieldsOfGetAndNoBody) {
  HttpPeer peer;
  peer.transport().Feed("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string head = peer.transport().TakeReceived();
  peer.transport().Feed(kGet);
  EXPECT_EQ(head + "Hello, World!", peer.transport().received());
}

TEST(ServerSessionTest, Http10GetsWhatItUnderstands) {
  HttpPeer peer;
  peer.transport().Feed(
      "POST /stream HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n"
      "abc");
  const ParsedOutput parsed = peer.Parse();
  ASSERT_EQ(Statuses(parsed), std::vector<int>{200});
  // Without chunks the end of the connection is the end of the body.
  EXPECT_EQ(parsed.responses[0].Field("Transfer-Encoding"), "");
  EXPECT_EQ(parsed.responses[0].Field("Connection"), "close");
  EXPECT_EQ(parsed.responses[0].body, "abc");
  EXPECT_TRUE(peer.transport().closing());
}

TEST(ServerSessionTest, Http10KeepAliveIsConfirmed) {
  HttpPeer peer;
  peer.transport().Feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(peer.Parse().responses.at(0).Field("Connection"), "keep-alive");
  EXPECT_FALSE(peer.transport().closing());
}

TEST(ServerSessionTest, MethodNotAllowedListsTheOthers) {
  HttpPeer peer;
  peer.transport().Feed("PUT /echo HTTP/1.1\r\nHost: a\r\n\r\nPUT / HTTP/1.1\r\nHost: a\r\n\r\n");
  const ParsedOutput parsed = peer.Parse();
  ASSERT_EQ(Statuses(parsed), (std::vector<int>{405, 405}));
  EXPECT_EQ(parsed.responses[0].Field("Allow"), "OPTIONS, POST");
  EXPECT_EQ(parsed.responses[1].Field("Allow"), "OPTIONS, GET, HEAD");
}

TEST(ServerSessionTest, OptionsListsMethods) {
  HttpPeer peer;
  peer.transport().Feed(
      "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  const ParsedOutput parsed = peer.Parse();
  ASSERT_EQ(Statuses(parsed), (std::vector<int>{200, 200}));
  EXPECT_EQ(parsed.responses[0].Field("Allow"), "OPTIONS, GET, HEAD, POST");
  EXPECT_EQ(parsed.responses[0].Field("Content-Length"), "0");
  EXPECT_EQ(parsed.responses[1].Field("Allow"), "OPTIONS, POST");
}

TEST(ServerSessionTest, TargetsInEveryForm) {
  HttpPeer peer;
  peer.transport().Feed(
      "GET /about?q=1 HTTP/1.1\r\nHost: a:81\r\n\r\n"
      "GET http://b:82/about/x/y?q HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /about HTTP/1.0\r\n\r\n");
  const ParsedOutput parsed = peer.Parse();
  ASSERT_EQ(parsed.responses.size(), 3U);
  EXPECT_EQ(parsed.responses[0].body, "a:81|/about|q=1||1");
  // RFC 9112 section 3.2.2: the absolute form wins over Host.
  EXPECT_EQ(parsed.responses[1].body, "b:82|/about/x/y|q|x/y|1");
  EXPECT_EQ(parsed.responses[2].body, "|/about|||0");
}

TEST(ServerSessionTest, FieldsKeepOrderAndLoseWhitespace) {
  HttpPeer peer;
  peer.transport().Feed(
      "GET /fields HTTP/1.1\r\nHost: a\r\nX-Y:\t b c\td \t\r\nEmpty:\r\n"
      "x-y: 2\r\nBlank: \t\r\nC: d:\te\r\n\r\n");
  EXPECT_EQ(peer.Parse().responses.at(0).body,
            "Host=[a]\nX-Y=[b c\td]\nEmpty=[]\nx-y=[2]\nBlank=[]\nC=[d:\te]\n");
}

TEST(ServerSessionTest, ServerNameIsSent) {
  HttpPeer::Setup setup;
  setup.options.server_name = "quintet";
  HttpPeer peer(setup);
  peer.transport().Feed(kGet);
  EXPECT_EQ(peer.Parse().responses.at(0).Field("Server"), "quintet");
}

// ---- pipelining and the life of a connection ----

TEST(ServerSessionTest, SixteenPipelinedRequestsInOneFlush) {
  HttpPeer peer;
  peer.transport().Feed(Sixteen());
  EXPECT_EQ(peer.transport().flushes(), 1U);
  ExpectSixteen(peer.Parse());
}

TEST(ServerSessionTest, SixteenPipelinedRequestsAtEverySplit) {
  const std::string input = Sixteen();
  for (size_t at = 1; at < input.size(); ++at) {
    HttpPeer peer;
    peer.transport().Feed(std::string_view(input).substr(0, at));
    peer.transport().Feed(std::string_view(input).substr(at));
    EXPECT_LE(peer.transport().flushes(), 2U);
    ASSERT_NO_FATAL_FAILURE(ExpectSixteen(peer.Parse())) << "cut at " << at;
  }
}

TEST(ServerSessionTest, EarlierResponsesSurviveARefusal) {
  HttpPeer peer;
  peer.transport().set_auto_take(false);
  peer.transport().Feed(std::string(kGet) + std::string(kGet) + "bad\r\n\r\n");
  EXPECT_TRUE(peer.transport().closing());
  EXPECT_FALSE(peer.transport().aborted());
  peer.transport().Take(peer.transport().output_bytes());
  EXPECT_EQ(Statuses(peer.Parse()), (std::vector<int>{200, 200, 400}));
}

TEST(ServerSessionTest, RequestsPerConnectionAreLimited) {
  HttpPeer::Setup setup;
  setup.options.limits.requests_per_connection = 2;
  HttpPeer peer(setup);
  peer.transport().Feed(std::string(kGet) + std::string(kGet) + std::string(kGet));
  const ParsedOutput parsed = peer.Parse();
  ASSERT_EQ(Statuses(parsed), (std::vector<int>{200, 200}));
  EXPECT_EQ(parsed.responses[0].Field("Connection"), "");
  EXPECT_EQ(parsed.responses[1].Field("Connection"), "close");
  EXPECT_TRUE(peer.transport().closing());
}

TEST(ServerSessionTest, EofWhileIdleCloses) {
  HttpPeer peer;
  peer.transport().Feed(kGet);
  peer.transport().FeedEof();
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{200});
  EXPECT_TRUE(peer.transport().closing());
}

TEST(ServerSessionTest, EofAmidARequestIsRefused) {
  for (const std::string_view input :
       {"G", "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"}) {
    HttpPeer peer;
    peer.transport().Feed(input);
    peer.transport().FeedEof();
    EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{400}) << input;
    EXPECT_TRUE(peer.transport().closing());
  }
}

TEST(ServerSessionTest, EofBeforeALateResponseStillGetsIt) {
  HttpPeer peer;
  peer.transport().Feed(kGetLate);
  peer.transport().FeedEof();
  EXPECT_FALSE(peer.transport().closing());
  EXPECT_TRUE(peer.late().at(0).Run([](Exchange& exchange) { exchange.Reply(200, "late"); }));
  peer.transport().RunTasks();
  EXPECT_EQ(peer.Parse().responses.at(0).body, "late");
  EXPECT_EQ(peer.Parse().responses.at(0).Field("Connection"), "close");
  EXPECT_TRUE(peer.transport().closing());
}

// ---- bodies ----

TEST(ServerSessionTest, WholeBodyReachesTheHandler) {
  HttpPeer peer;
  peer.transport().Feed(
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
  EXPECT_EQ(peer.Parse().responses.at(0).body, "abcdefg");
}

TEST(ServerSessionTest, StreamedBodyAtEverySplit) {
  const std::string input =
      "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4;x=\"y\"\r\ndefg\r\n0\r\nT: u\r\n\r\n"
      "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhijkl"
      "POST /stream HTTP/1.1\r\nHost: a\r\n\r\n" +
      std::string(kGet);
  for (size_t at = 1; at < input.size(); ++at) {
    HttpPeer peer;
    peer.transport().Feed(std::string_view(input).substr(0, at));
    peer.transport().Feed(std::string_view(input).substr(at));
    const ParsedOutput parsed = peer.Parse();
    ASSERT_EQ(parsed.responses.size(), 4U) << "cut at " << at;
    EXPECT_EQ(parsed.responses[0].body, "abcdefg");
    EXPECT_EQ(parsed.responses[1].body, "hijkl");
    EXPECT_EQ(parsed.responses[2].body, "");
    EXPECT_EQ(parsed.responses[3].body, "Hello, World!");
  }
}

TEST(ServerSessionTest, StreamHasNoLimitAndNoBuffer) {
  HttpPeer peer;
  const std::string piece(1 << 20, 'x');
  peer.transport().Feed("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                        std::to_string(8 * piece.size()) + "\r\n\r\n");
  for (int i = 0; i < 8; ++i) {
    peer.transport().Feed(piece);
    EXPECT_GE(peer.transport().received().size(), (static_cast<size_t>(i) + 1) * piece.size());
  }
  EXPECT_EQ(peer.Parse().responses.at(0).body.size(), 8 * piece.size());
}

TEST(ServerSessionTest, BackPressureHoldsTheBodyBack) {
  HttpPeer peer;
  peer.transport().set_auto_take(false);
  const std::string piece(40 << 10, 'x');
  peer.transport().Feed("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                        std::to_string(3 * piece.size()) + "\r\n\r\n" + piece);
  EXPECT_FALSE(peer.transport().reading_paused());
  peer.transport().Feed(piece);
  EXPECT_TRUE(peer.transport().output_blocked());
  EXPECT_TRUE(peer.transport().reading_paused());
  peer.transport().Feed(piece);
  EXPECT_EQ(peer.transport().unread_bytes(), piece.size());
  // The body timeout must not run while it is us who do not read.
  peer.transport().Advance(seconds(40));
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Take(70 << 10);
  EXPECT_FALSE(peer.transport().reading_paused());
  EXPECT_EQ(peer.transport().unread_bytes(), 0U);
  peer.transport().Take(peer.transport().output_bytes());
  EXPECT_EQ(peer.Parse().responses.at(0).body, piece + piece + piece);
  peer.transport().set_auto_take(true);
  peer.transport().Feed(kGet);
  EXPECT_EQ(peer.Parse().responses.at(1).status, 200);
}

TEST(ServerSessionTest, RequestsWaitForAPeerThatDoesNotRead) {
  HttpPeer::Setup setup;
  setup.marks = {.high_bytes = 1000, .low_bytes = 500, .cap_bytes = 4000};
  HttpPeer peer(setup);
  peer.transport().set_auto_take(false);
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += kGet;
  peer.transport().Feed(flood);
  EXPECT_LT(peer.transport().output_bytes(), 1200U);
  while (peer.transport().output_bytes() != 0)
    peer.transport().Take(peer.transport().output_bytes());
  EXPECT_EQ(peer.Parse().responses.size(), 1000U);
  EXPECT_FALSE(peer.transport().closing());
}

TEST(ServerSessionTest, ContinueIsSentWhenTheBodyIsWantedAndNotThere) {
  constexpr std::string_view kHead =
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
  HttpPeer peer;
  peer.transport().Feed(kHead);
  EXPECT_EQ(peer.transport().TakeReceived(), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.transport().Feed("a");
  peer.transport().Feed("bc");
  EXPECT_EQ(peer.Parse().responses.at(0).body, "abc");
  EXPECT_EQ(peer.Parse().continues, 0U);
  EXPECT_FALSE(peer.transport().closing());

  HttpPeer with_body;
  with_body.transport().Feed(std::string(kHead) + "a");
  with_body.transport().Feed("bc");
  EXPECT_EQ(with_body.Parse().continues, 0U);
  EXPECT_EQ(with_body.Parse().responses.at(0).body, "abc");
}

TEST(ServerSessionTest, ContinueIsNotSentTo10NorWithoutNeed) {
  for (const std::string_view head :
       {"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "POST /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"}) {
    HttpPeer peer;
    peer.transport().Feed(head);
    EXPECT_EQ(peer.Parse().continues, 0U) << head;
  }
}

TEST(ServerSessionTest, ContinueWaitsUntilTheHandlerWantsTheBody) {
  std::vector<ExchangeHandle> late;
  auto router = OneRoute(
      "POST",
      [&late](Exchange& exchange) {
        exchange.PauseBody();
        late.push_back(exchange.Defer());
      },
      Streaming());
  HttpPeer peer({}, std::move(router));
  peer.transport().Feed(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(peer.transport().received(), "");
  EXPECT_TRUE(peer.transport().reading_paused());
  late.at(0).Run([](Exchange& exchange) {
    exchange.OnBody([](Exchange& target, std::string_view piece, bool last) {
      target.response().Write(piece);
      if (last) target.response().End();
    });
    exchange.ResumeBody();
  });
  peer.transport().RunTasks();
  EXPECT_EQ(peer.Parse().continues, 1U);
  EXPECT_FALSE(peer.transport().reading_paused());
  peer.transport().Feed("abc");
  EXPECT_EQ(peer.Parse().responses.at(0).body, "abc");
}

TEST(ServerSessionTest, EarlyResponseDropsTheBodyAndGoesOn) {
  HttpPeer peer;
  peer.transport().Feed("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{404});
  peer.transport().Feed(std::string(1000, 'x') + std::string(kGet));
  EXPECT_EQ(Statuses(peer.Parse()), (std::vector<int>{404, 200}));
}

TEST(ServerSessionTest, EarlyResponseDropsABoundedBody) {
  HttpPeer peer;
  peer.transport().Feed("POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "8000\r\n" + std::string(0x8000, 'x') + "\r\n";
  int chunks = 0;
  for (; !peer.transport().closing() && chunks < 100; ++chunks) peer.transport().Feed(chunk);
  EXPECT_EQ(chunks, ServerSession::kMaxDiscardBytes / 0x8000 + 1);
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{404});
}

TEST(ServerSessionTest, RefusalAmidAStreamedResponseLeavesItWithoutEnd) {
  HttpPeer peer;
  peer.transport().Feed(
      "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\nzzz");
  EXPECT_TRUE(peer.transport().closing());
  EXPECT_EQ(peer.Parse().responses.size(), 0U);
  EXPECT_TRUE(peer.transport().received().ends_with("3\r\nabc\r\n"));
}

// ---- late responses ----

TEST(ServerSessionTest, PipelinedRequestsWaitForALateResponse) {
  HttpPeer peer;
  peer.transport().Feed(std::string(kGet) + std::string(kGetLate) + std::string(kGet));
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{200});
  EXPECT_EQ(peer.transport().unread_bytes(), kGet.size());
  peer.late().at(0).Run([](Exchange& exchange) {
    exchange.response().SetStatus(201);
    exchange.response().Send("late");
  });
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{200});
  peer.transport().RunTasks();
  EXPECT_EQ(Statuses(peer.Parse()), (std::vector<int>{200, 201, 200}));
}

TEST(ServerSessionTest, RequestOutlivesItsInput) {
  HttpPeer peer;
  peer.transport().Feed("POST /late HTTP/1.1\r\nHost: there\r\nContent-Length: 4\r\n\r\nbody");
  peer.late().at(0).Run([](Exchange& exchange) {
    exchange.Reply(
        200, std::string(exchange.request().host()) + " " + std::string(exchange.request().body()));
  });
  peer.transport().RunTasks();
  EXPECT_EQ(peer.Parse().responses.at(0).body, "there body");
}

TEST(ServerSessionTest, LateResponseFromAnotherThread) {
  HttpPeer peer;
  for (int round = 0; round < 50; ++round) {
    peer.transport().Feed(kGetLate);
    ExchangeHandle handle = std::move(peer.late().back());
    peer.late().clear();
    std::thread thread([handle = std::move(handle), round]() mutable {
      EXPECT_TRUE(
          handle.Run([round](Exchange& exchange) { exchange.Reply(200, std::to_string(round)); }));
      handle = ExchangeHandle();
    });
    while (peer.Parse().responses.size() == static_cast<size_t>(round)) peer.transport().RunTasks();
    thread.join();
    EXPECT_EQ(peer.Parse().responses.back().body, std::to_string(round));
  }
}

TEST(ServerSessionTest, StreamedLateResponse) {
  HttpPeer peer;
  peer.transport().Feed(std::string(kGetLate) + std::string(kGet));
  const ExchangeHandle handle = peer.late().at(0);
  handle.Run([](Exchange& exchange) { exchange.response().Write("one "); });
  peer.transport().RunTasks();
  handle.Run([](Exchange& exchange) { exchange.response().Write("two"); });
  handle.Run([](Exchange& exchange) { exchange.response().End(); });
  // Harmless: it is over by then.
  handle.Run([](Exchange& exchange) { exchange.response().Write("three"); });
  peer.transport().RunTasks();
  EXPECT_EQ(peer.Parse().responses.at(0).body, "one two");
  EXPECT_EQ(peer.Parse().responses.at(1).body, "Hello, World!");
}

TEST(ServerSessionTest, HandleOfAnEarlierExchangeReachesNoOther) {
  HttpPeer peer;
  peer.transport().Feed(kGetLate);
  const ExchangeHandle first = peer.late().at(0);
  first.Run([](Exchange& exchange) { exchange.Reply(200, "first"); });
  peer.transport().RunTasks();
  peer.transport().Feed(kGetLate);
  bool ran = false;
  EXPECT_TRUE(first.Run([&ran](Exchange&) { ran = true; }));
  peer.transport().RunTasks();
  EXPECT_FALSE(ran);
  peer.late().at(1).Run([](Exchange& exchange) { exchange.Reply(200, "second"); });
  peer.transport().RunTasks();
  EXPECT_EQ(peer.Parse().responses.at(1).body, "second");
}

TEST(ServerSessionTest, HandleOutlivesConnectionAndServer) {
  ExchangeHandle handle;
  auto owned = std::make_shared<int>(1);
  {
    HttpPeer peer;
    peer.transport().Feed(kGetLate);
    handle = peer.late().at(0);
    EXPECT_TRUE(handle.Run([owned](Exchange&) { FAIL(); }));
    peer.transport().Reset();
    peer.transport().RunTasks();
    EXPECT_EQ(owned.use_count(), 1);
  }
  EXPECT_FALSE(handle.Run([owned](Exchange&) { FAIL(); }));
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_FALSE(ExchangeHandle().Run([](Exchange&) { FAIL(); }));
}

TEST(ServerSessionTest, CallbacksAreDestroyedWithTheConnection) {
  auto owned = std::make_shared<int>(1);
  auto router = OneRoute(
      "POST",
      [owned](Exchange& exchange) {
        exchange.OnBody([owned](Exchange&, std::string_view, bool) {});
        exchange.OnDrained([owned](Exchange&) {});
      },
      Streaming());
  HttpPeer peer({}, std::move(router));
  const auto before = owned.use_count();
  peer.transport().Feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  EXPECT_EQ(owned.use_count(), before + 2);
  peer.transport().Reset();
  EXPECT_EQ(owned.use_count(), before);
}

// ---- what handlers do wrong ----

TEST(ServerSessionTest, ThrowingHandlerGets500AndEarlierResponsesStay) {
  HttpPeer peer;
  peer.transport().Feed(std::string(kGet) + "GET /throw HTTP/1.1\r\nHost: a\r\n\r\n" +
                        std::string(kGet));
  EXPECT_EQ(Statuses(peer.Parse()), (std::vector<int>{200, 500}));
  EXPECT_TRUE(peer.transport().closing());
  EXPECT_FALSE(peer.transport().aborted());
}

TEST(ServerSessionTest, ThrowingAmidAResponseAborts) {
  auto router = OneRoute("GET", [](Exchange& exchange) {
    exchange.response().Write("half");
    throw 1;
  });
  HttpPeer peer({}, std::move(router));
  peer.transport().Feed(kGet);
  EXPECT_EQ(peer.transport().abort_reason(), CloseReason::kSessionError);
}

TEST(ServerSessionTest, ThrowingLateTaskIsContained) {
  HttpPeer peer;
  peer.transport().Feed(kGetLate);
  peer.late().at(0).Run([](Exchange&) { throw 1; });
  peer.transport().RunTasks();
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{500});
}

TEST(ServerSessionTest, WrongLengthClosesWithoutEnd) {
  for (const std::string_view body : {"short", "much too long"}) {
    auto router = OneRoute("GET", [body](Exchange& exchange) {
      exchange.response().SetContentLength(10);
      exchange.response().Write(body);
      exchange.response().End();
    });
    HttpPeer peer({}, std::move(router));
    peer.transport().Feed(std::string(kGet) + std::string(kGet));
    EXPECT_TRUE(peer.transport().closing());
    EXPECT_EQ(peer.Parse().responses.size(), 0U);
  }
}

// A callback may replace itself, pause, resume, end and go on talking.
TEST(ServerSessionTest, CallbacksMayReplaceThemselves) {
  auto router = OneRoute(
      "POST",
      [](Exchange& exchange) {
        exchange.OnBody([seen = std::make_unique<std::string>()](Exchange& target,
                                                                 std::string_view piece, bool) {
          seen->append(piece);
          target.OnBody([first = *seen](Exchange& other, std::string_view rest, bool last) {
            if (last) other.Reply(200, first + "|" + std::string(rest));
            other.response().Write("ignored");
          });
          *seen += "still mine";
        });
      },
      Streaming());
  HttpPeer peer({}, std::move(router));
  peer.transport().Feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
  peer.transport().Feed("def");
  EXPECT_EQ(peer.Parse().responses.at(0).body, "abc|def");
}

// ---- deadlines ----

TEST(ServerSessionTest, IdleConnectionsAreClosedWithoutAWord) {
  HttpPeer peer;
  peer.transport().Advance(seconds(74));
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Feed(kGet);
  peer.transport().TakeReceived();
  peer.transport().Advance(seconds(74));
  EXPECT_FALSE(peer.transport().closing());
  // Empty lines are no request and no sign of life.
  peer.transport().Feed("\r\n");
  peer.transport().Advance(seconds(1));
  EXPECT_TRUE(peer.transport().closing());
  EXPECT_FALSE(peer.transport().aborted());
  EXPECT_EQ(peer.transport().received(), "");
}

TEST(ServerSessionTest, DrippingHeadMeetsItsDeadline) {
  HttpPeer peer;
  peer.transport().Feed("GET / HTTP/1.1\r\nX: ");
  for (int i = 0; i < 9; ++i) {
    peer.transport().Advance(seconds(1));
    peer.transport().Feed("x");
    ASSERT_FALSE(peer.transport().closing()) << i;
  }
  peer.transport().Advance(seconds(1));
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{408});
  EXPECT_EQ(peer.Parse().responses.at(0).Field("Connection"), "close");
  EXPECT_TRUE(peer.transport().closing());
}

TEST(ServerSessionTest, StalledBodyMeetsItsDeadline) {
  HttpPeer peer;
  peer.transport().Feed("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
  peer.transport().Advance(seconds(29));
  peer.transport().Feed("a");
  peer.transport().Advance(seconds(29));
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Advance(seconds(1));
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{408});
}

TEST(ServerSessionTest, DrippingBodyMeetsTheDeadlineOfTheRequest) {
  HttpPeer peer;
  peer.transport().Feed("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n");
  int fed = 0;
  for (; !peer.transport().closing() && fed < 900; ++fed) {
    peer.transport().Advance(seconds(1));
    peer.transport().Feed("x");
  }
  EXPECT_EQ(fed, 300);
  EXPECT_EQ(Statuses(peer.Parse()), std::vector<int>{408});
}

TEST(ServerSessionTest, StalledBodyOfAStreamedResponseAborts) {
  HttpPeer peer;
  peer.transport().Feed("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  peer.transport().Advance(seconds(30));
  EXPECT_EQ(peer.transport().abort_reason(), CloseReason::kDeadline);
}

TEST(ServerSessionTest, ResponseThatNeverComesAborts) {
  HttpPeer peer;
  peer.transport().Feed(kGetLate);
  peer.transport().Advance(seconds(299));
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Advance(seconds(1));
  EXPECT_EQ(peer.transport().abort_reason(), CloseReason::kDeadline);
}

TEST(ServerSessionTest, SlowReaderIsNotTheHandlersFault) {
  HttpPeer peer;
  peer.transport().set_auto_take(false);
  peer.transport().Feed(kGetLate);
  peer.late().at(0).Run([](Exchange& exchange) {
    exchange.OnDrained([](Exchange& target) { target.response().End(); });
    exchange.response().Write(std::string(100 << 10, 'x'));
  });
  peer.transport().RunTasks();
  peer.transport().Advance(std::chrono::minutes(20));
  EXPECT_FALSE(peer.transport().closing());
  peer.transport().Take(peer.transport().output_bytes());
  peer.transport().Take(peer.transport().output_bytes());
  EXPECT_EQ(peer.Parse().responses.at(0).body.size(), 100U << 10);
}

TEST(ServerSessionTest, ZeroTimeoutsMeanNone) {
  HttpPeer::Setup setup;
  setup.options.timeouts = {.header = {}, .body = {}, .request = {}, .keep_alive = {}};
  HttpPeer peer(setup);
  EXPECT_EQ(peer.transport().deadline(), kNever);
  peer.transport().Feed("GET /");
  EXPECT_EQ(peer.transport().deadline(), kNever);
}

// ---- destruction ----

TEST(ServerSessionTest, MayBeDestroyedAtAnyMoment) {
  const std::string input =
      std::string(kGet) + "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "3\r\nabc\r\n0\r\n\r\n" + std::string(kGetLate) + std::string(kGet);
  for (size_t at = 0; at <= input.size(); ++at) {
    for (const bool reset : {false, true}) {
      ExchangeHandle handle;
      {
        HttpPeer peer;
        peer.transport().Feed(std::string_view(input).substr(0, at));
        if (!peer.late().empty()) {
          handle = peer.late()[0];
          handle.Run([](Exchange& exchange) { exchange.Reply(200, "x"); });
        }
        if (reset) peer.transport().Reset();
        if (at % 2 == 0) peer.transport().RunTasks();
      }
      EXPECT_FALSE(handle.Run([](Exchange&) { FAIL(); }));
    }
  }
}

}  // namespace
}  // namespace quintet::testing
