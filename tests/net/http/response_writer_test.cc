#include "net/http/response_writer.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "net/http/exchange.h"
#include "net/http/status.h"
#include "tests/net/http/http_peer.h"

namespace quintet::testing {
namespace {

using http::Exchange;

// What `handler` makes of a request for "/".
std::string Answer(http::Handler handler, std::string_view method = "GET",
                   std::string_view version = "1.1") {
  auto router = std::make_unique<http::Router>();
  router->Handle(method == "HEAD" ? "GET" : method, "/", std::move(handler));
  HttpPeer peer({}, std::move(router));
  peer.transport().Feed(std::string(method) + " / HTTP/" + std::string(version) +
                        "\r\nHost: a\r\n\r\n");
  return peer.transport().received();
}

const std::string kDate = "Date: Sun, 01 Mar 2026 12:34:56 GMT\r\n";

TEST(ResponseWriterTest, StatusAndReason) {
  const auto answer = [](int status) {
    return Answer([status](Exchange& exchange) {
      exchange.response().SetStatus(status);
      exchange.response().Send("x");
    });
  };
  EXPECT_TRUE(answer(201).starts_with("HTTP/1.1 201 Created\r\n"));
  EXPECT_TRUE(answer(299).starts_with("HTTP/1.1 299 Unknown\r\n"));
  EXPECT_TRUE(answer(100).starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
  EXPECT_TRUE(answer(600).starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
}

TEST(ResponseWriterTest, FieldsCannotSplitTheResponse) {
  const std::string output = Answer([](Exchange& exchange) {
    http::ResponseWriter& response = exchange.response();
    EXPECT_TRUE(response.AddField("X-Good", "a b"));
    EXPECT_TRUE(response.AddField("X-Good", ""));
    EXPECT_FALSE(response.AddField("X-Bad", "a\r\nSet-Cookie: b"));
    EXPECT_FALSE(response.AddField("X-Bad", "a\nb"));
    EXPECT_FALSE(response.AddField("X-Bad", std::string_view("a\0b", 3)));
    EXPECT_FALSE(response.AddField("X-Bad: a\r\nX", "b"));
    EXPECT_FALSE(response.AddField("X Bad", "a"));
    EXPECT_FALSE(response.AddField("", "a"));
    response.Send("");
    EXPECT_FALSE(response.AddField("X-Late", "a"));
  });
  EXPECT_EQ(output,
            "HTTP/1.1 200 OK\r\n" + kDate + "X-Good: a b\r\nX-Good: \r\nContent-Length: 0\r\n\r\n");
}

TEST(ResponseWriterTest, OwnFieldsAreRefused) {
  Answer([](Exchange& exchange) {
    for (const std::string_view name : {"content-length", "Transfer-Encoding", "Connection", "DATE",
                                        "Server", "Keep-Alive", "Upgrade", "Trailer"}) {
      EXPECT_FALSE(exchange.response().AddField(name, "x")) << name;
    }
    exchange.response().Send("");
  });
}

TEST(ResponseWriterTest, SmallAndLargeBodies) {
  for (const size_t size : {0U, 1U, 4096U, 4097U, 200000U}) {
    const std::string body(size, 'x');
    const ParsedOutput parsed =
        ParseResponses(Answer([&body](Exchange& exchange) { exchange.response().Send(body); }));
    ASSERT_EQ(parsed.responses.size(), 1U);
    EXPECT_EQ(parsed.responses[0].body, body);
    EXPECT_EQ(parsed.responses[0].Field("Content-Length"), std::to_string(size));
    EXPECT_EQ(parsed.rest, "");
  }
}

void StreamThree(Exchange& exchange) {
  exchange.response().Write("one");
  exchange.response().Write("");
  exchange.response().Write(std::string(5000, 'x'));
  exchange.response().End();
  exchange.response().Write("ignored");
  exchange.response().End();
}

TEST(ResponseWriterTest, ChunkedFor11) {
  EXPECT_EQ(Answer(StreamThree), "HTTP/1.1 200 OK\r\n" + kDate +
                                     "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n1388\r\n" +
                                     std::string(5000, 'x') + "\r\n0\r\n\r\n");
}

TEST(ResponseWriterTest, UntilCloseFor10) {
  EXPECT_EQ(
      Answer(StreamThree, "GET", "1.0"),
      "HTTP/1.1 200 OK\r\n" + kDate + "Connection: close\r\n\r\none" + std::string(5000, 'x'));
}

TEST(ResponseWriterTest, HeadOfAStream) {
  EXPECT_EQ(Answer(StreamThree, "HEAD"),
            "HTTP/1.1 200 OK\r\n" + kDate + "Transfer-Encoding: chunked\r\n\r\n");
}

TEST(ResponseWriterTest, AnnouncedLength) {
  const auto handler = [](Exchange& exchange) {
    exchange.response().SetContentLength(6);
    exchange.response().Write("abc");
    exchange.response().Write("def");
    exchange.response().End();
  };
  const std::string head = "HTTP/1.1 200 OK\r\n" + kDate + "Content-Length: 6\r\n";
  EXPECT_EQ(Answer(handler), head + "\r\nabcdef");
  EXPECT_EQ(Answer(handler, "HEAD"), head + "\r\n");
  EXPECT_EQ(Answer(handler, "GET", "1.0"), head + "Connection: close\r\n\r\nabcdef");
}

TEST(ResponseWriterTest, EndAlone) {
  const auto handler = [](Exchange& exchange) { exchange.response().End(); };
  EXPECT_EQ(Answer(handler), "HTTP/1.1 200 OK\r\n" + kDate + "Content-Length: 0\r\n\r\n");
  // For HEAD a handler need not make the body whose length it announces.
  const auto announced = [](Exchange& exchange) {
    exchange.response().SetContentLength(77);
    exchange.response().End();
  };
  EXPECT_EQ(Answer(announced, "HEAD"),
            "HTTP/1.1 200 OK\r\n" + kDate + "Content-Length: 77\r\n\r\n");
}

TEST(ResponseWriterTest, StatusesWithoutContent) {
  const auto answer = [](int status, bool stream) {
    return Answer([status, stream](Exchange& exchange) {
      exchange.response().SetStatus(status);
      if (!stream) return exchange.response().Send("body");
      exchange.response().Write("body");
      exchange.response().End();
    });
  };
  for (const bool stream : {false, true}) {
    EXPECT_EQ(answer(204, stream), "HTTP/1.1 204 No Content\r\n" + kDate + "\r\n");
    EXPECT_EQ(answer(304, stream), "HTTP/1.1 304 Not Modified\r\n" + kDate + "\r\n");
  }
}

TEST(ResponseWriterTest, CloseAfter) {
  EXPECT_EQ(Answer([](Exchange& exchange) {
              exchange.response().CloseAfter();
              exchange.response().Send("");
            }),
            "HTTP/1.1 200 OK\r\n" + kDate + "Content-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(ResponseWriterTest, ReasonPhrasesAreKnownForWhatTheServerSends) {
  for (const int status :
       {100, 200, 400, 404, 405, 408, 411, 413, 414, 417, 421, 431, 500, 501, 505}) {
    EXPECT_NE(http::StatusReason(status), "Unknown") << status;
  }
}

}  // namespace
}  // namespace quintet::testing
