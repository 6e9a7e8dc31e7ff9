// What a handler may do with an exchange that others wait with it for: answer as if something else
// had been asked for, hear that its peer has closed, and cut a reply.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"

namespace quintet::testing {
namespace {

using http::Exchange;
using http::ExchangeHandle;
using http::RouteOptions;
using http::Router;

std::string Request(const std::string& method, const std::string& target,
                    const std::string& rest = "\r\n") {
  return method + " " + target + " HTTP/1.1\r\nHost: a\r\n" + rest;
}

// /late hands its exchange out, /show tells of the request it sees, /round goes round in circles.
class LateExchangeTest : public ::testing::Test {
 protected:
  LateExchangeTest() : peer_({}, MakeRouter()) {}

  std::unique_ptr<Router> MakeRouter() {
    auto router = std::make_unique<Router>();
    const auto late = [this](Exchange& exchange) {
      exchange.response().SetStatus(299);
      exchange.response().AddField("X-Lost", "1");
      exchange.OnBody([this](Exchange&, std::string_view, bool) { ++pieces_; });
      exchange.OnDrained([held = held_](Exchange&) {});
      exchange.OnEof([this](Exchange&) { ++eofs_; });
      handle_ = exchange.Defer();
    };
    RouteOptions streaming;
    streaming.body = RouteOptions::Body::kStream;
    router->Get("/late", late, streaming);
    router->Post("/late", late, streaming);
    router->Get("/show/*", [](Exchange& exchange) {
      const http::Request& request = exchange.request();
      std::string text = std::string(request.method()) + " " + std::string(request.target()) + "|" +
                         std::string(request.path()) + "|" + std::string(request.path_rest()) +
                         "|" + std::string(request.query()) + "|" + std::string(request.host()) +
                         (request.has_body() ? "|body" : "|");
      for (const http::Field& field : request.fields()) text += "|" + std::string(field.name);
      exchange.Reply(200, text);
    });
    router->Get("/round", [this](Exchange& exchange) {
      ++rounds_;
      handle_ = exchange.Defer();
    });
    router->Get("/silent", [](Exchange&) {});
    return router;
  }

  // As a callback of another source of the loop does it.
  bool Here(absl::FunctionRef<void(Exchange&)> task) {
    bool ran = false;
    peer_.transport().tasks().Post([&] { ran = handle_.RunHere(task); });
    peer_.transport().RunTasks();
    return ran;
  }
  bool Redirect(const std::string& target) {
    bool done = false;
    Here([&](Exchange& exchange) { done = exchange.RedirectLocally(target); });
    return done;
  }

  const std::shared_ptr<int> held_ = std::make_shared<int>();
  ExchangeHandle handle_;
  int pieces_ = 0;
  int eofs_ = 0;
  int rounds_ = 0;
  HttpPeer peer_;
};

TEST_F(LateExchangeTest, RedirectIsAnsweredByTheOtherRoute) {
  peer_.transport().Feed(Request(
      "POST", "/late?old", "Content-Type: x/y\r\nX-Kept: 1\r\nContent-Length: 4\r\n\r\ntext"));
  EXPECT_EQ(pieces_, 1);
  EXPECT_EQ(held_.use_count(), 2);
  EXPECT_TRUE(Redirect("/show/a%20b?new"));
  const ParsedOutput parsed = peer_.Parse();
  ASSERT_EQ(parsed.responses.size(), 1U);
  EXPECT_EQ(parsed.responses[0].status, 200);
  EXPECT_EQ(parsed.responses[0].Field("X-Lost"), "");
  EXPECT_EQ(parsed.responses[0].body, "GET /show/a%20b?new|/show/a%20b|a%20b|new|a||Host|X-Kept");
  EXPECT_EQ(held_.use_count(), 1) << "the callbacks of the first are kept";
  EXPECT_FALSE(Here([](Exchange&) { FAIL(); })) << "it is answered";
  // The connection goes on, and the request is what it was: also one that is told again by heart.
  for (int i = 0; i < 2; ++i) {
    peer_.transport().TakeReceived();
    peer_.transport().Feed(Request("GET", "/late"));
    EXPECT_TRUE(Redirect("/show/x"));
    EXPECT_EQ(peer_.Parse().responses.at(0).body, "GET /show/x|/show/x|x||a||Host");
  }
}

TEST_F(LateExchangeTest, RedirectOfHeadHasNoBody) {
  peer_.transport().Feed(Request("HEAD", "/late"));
  EXPECT_TRUE(Redirect("/show/x"));
  const ParsedOutput parsed = peer_.Parse({0});
  ASSERT_EQ(parsed.responses.size(), 1U);
  EXPECT_EQ(parsed.responses[0].Field("Content-Length"),
            std::to_string(std::string("HEAD /show/x|/show/x|x||a||Host").size()));
  EXPECT_EQ(parsed.rest, "");
}

TEST_F(LateExchangeTest, RestOfTheBodyIsDropped) {
  peer_.transport().Feed(Request("POST", "/late", "Content-Length: 8\r\n\r\ntext"));
  EXPECT_TRUE(Redirect("/show/x"));
  peer_.transport().Feed("more" + Request("GET", "/show/y"));
  const ParsedOutput parsed = peer_.Parse();
  ASSERT_EQ(parsed.responses.size(), 2U);
  EXPECT_EQ(parsed.responses[1].body, "GET /show/y|/show/y|y||a||Host");
  EXPECT_EQ(pieces_, 1);
}

TEST_F(LateExchangeTest, RedirectToNowhereAndWrongOnes) {
  peer_.transport().Feed(Request("GET", "/late"));
  for (const char* const target : {"", "show/x", "/a b", "/%zz", "/#x", "http://a/", "*"}) {
    EXPECT_FALSE(Redirect(target)) << target;
  }
  EXPECT_TRUE(Redirect("/nowhere"));
  EXPECT_EQ(peer_.Parse().responses.at(0).status, 404);
  peer_.transport().TakeReceived();
  peer_.transport().Feed(Request("GET", "/late"));
  EXPECT_TRUE(Redirect("/silent"));
  EXPECT_EQ(peer_.Parse().responses.at(0).status, 500) << "who does not answer is answered for";
}

TEST_F(LateExchangeTest, CirclesHaveAnEnd) {
  peer_.transport().Feed(Request("GET", "/round"));
  for (int i = 0; i < Exchange::kMaxLocalRedirects; ++i) EXPECT_TRUE(Redirect("/round")) << i;
  EXPECT_FALSE(Redirect("/round"));
  EXPECT_EQ(rounds_, Exchange::kMaxLocalRedirects + 1);
  Here([](Exchange& exchange) { exchange.Reply(502, "round"); });
  // The next request counts anew.
  peer_.transport().Feed(Request("GET", "/round"));
  EXPECT_TRUE(Redirect("/show/x"));
  EXPECT_EQ(peer_.Parse().responses.size(), 2U);
}

TEST_F(LateExchangeTest, BegunResponseIsNotRedirected) {
  peer_.transport().Feed(Request("GET", "/late"));
  Here([](Exchange& exchange) { exchange.response().Write("begun"); });
  EXPECT_FALSE(Redirect("/show/x"));
}

TEST_F(LateExchangeTest, EndOfFileIsToldOnceAndTheReplyStillGoesOut) {
  peer_.transport().Feed(Request("GET", "/late"));
  EXPECT_EQ(eofs_, 0);
  peer_.transport().FeedEof();
  EXPECT_EQ(eofs_, 1);
  EXPECT_FALSE(peer_.transport().closing());
  Here([](Exchange& exchange) { exchange.Reply(200, "late"); });
  EXPECT_EQ(peer_.Parse().responses.at(0).body, "late");
  EXPECT_TRUE(peer_.transport().closing());
  EXPECT_FALSE(peer_.transport().aborted());
}

TEST_F(LateExchangeTest, FailedReplyHasNoEnd) {
  peer_.transport().Feed(Request("GET", "/late"));
  Here([](Exchange& exchange) {
    exchange.response().Write("begun");
    exchange.response().Fail();
  });
  EXPECT_TRUE(peer_.transport().closing());
  EXPECT_FALSE(peer_.transport().aborted()) << "what there is may be read";
  const ParsedOutput parsed = peer_.Parse();
  EXPECT_TRUE(parsed.responses.empty());
  EXPECT_NE(parsed.rest.find("begun"), std::string::npos);
  EXPECT_EQ(held_.use_count(), 1);
}

TEST_F(LateExchangeTest, FailedReplyWithoutLengthIsReset) {
  peer_.transport().Feed("GET /late HTTP/1.0\r\n\r\n");
  Here([](Exchange& exchange) {
    exchange.response().Write("begun");
    exchange.response().Fail();
  });
  EXPECT_TRUE(peer_.transport().aborted());
}

TEST_F(LateExchangeTest, FailureBeforeTheHeadSaysNothing) {
  peer_.transport().Feed(Request("GET", "/late"));
  Here([](Exchange& exchange) { exchange.response().Fail(); });
  EXPECT_EQ(peer_.transport().received(), "");
  EXPECT_TRUE(peer_.transport().closing());
}

TEST_F(LateExchangeTest, HandleOfNothingRunsNothing) {
  EXPECT_FALSE(ExchangeHandle().RunHere([](Exchange&) { FAIL(); }));
  peer_.transport().Feed(Request("GET", "/late"));
  peer_.transport().Reset();
  EXPECT_FALSE(handle_.RunHere([](Exchange&) { FAIL(); }));
}

}  // namespace
}  // namespace quintet::testing
