// The HTTP server end to end: real sockets, a server on its own thread, every backend.
#include <errno.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/response_parser.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class HttpOverBackendsTest : public PromiseTest {
 protected:
  void SetUp() override {
    PromiseTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    factory_ = MakeHelloFactory();
    running_ = std::make_unique<RunningServer>(GetParam(), *factory_);
  }
  void TearDown() override {
    running_.reset();
    PromiseTest::TearDown();
  }

  Fd Connect() const { return running_->Connect(); }

  // Everything the server says to `request` until it closes.
  std::string Exchange(std::string_view request) const {
    const Fd client = Connect();
    EXPECT_TRUE(SendAll(client.get(), request));
    int error = 0;
    std::string reply = ReceiveToEnd(client.get(), &error);
    EXPECT_EQ(error, 0) << "the connection was reset";
    return reply;
  }

  // One response to `request`, with a body of the announced length, on a connection that stays.
  static ParsedResponse Ask(const Fd& client, std::string_view request,
                            const std::vector<size_t>& heads = {}) {
    EXPECT_TRUE(SendAll(client.get(), request));
    std::string reply;
    for (;;) {
      ParsedOutput parsed = ParseResponses(reply, heads);
      if (!parsed.responses.empty()) {
        EXPECT_EQ(parsed.rest, "");
        return parsed.responses.front();
      }
      char bytes[4096];
      const ssize_t received = ::recv(client.get(), bytes, sizeof(bytes), 0);
      if (received < 0 && errno == EINTR) continue;
      if (received <= 0) break;
      reply.append(bytes, static_cast<size_t>(received));
    }
    ADD_FAILURE() << "no complete response, but: " << reply;
    return {};
  }

  std::unique_ptr<SessionFactory> factory_;
  std::unique_ptr<RunningServer> running_;
};

TEST_P(HttpOverBackendsTest, GetHeadAndErrors) {
  const Fd client = Connect();
  const ParsedResponse get = Ask(client, kGet);
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.body, "Hello, World!");
  EXPECT_EQ(get.Field("Content-Type"), "text/plain");
  EXPECT_EQ(get.Count("Date"), 1U);

  const ParsedResponse head = Ask(client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", {0});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Field("Content-Length"), "13");

  EXPECT_EQ(Ask(client, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").status, 404);
  const ParsedResponse refused = Ask(client, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(refused.status, 405);
  EXPECT_NE(refused.Field("Allow").find("GET"), std::string::npos);
  // The connection has survived them all.
  EXPECT_EQ(Ask(client, kGet).status, 200);
}

TEST_P(HttpOverBackendsTest, KeepAliveAndClose) {
  const auto is_kept = [this](std::string_view request) {
    const Fd client = Connect();
    EXPECT_EQ(Ask(client, request).status, 200);
    EXPECT_TRUE(SendAll(client.get(), request));
    return !ReceiveExactly(client.get(), 1).empty();
  };
  EXPECT_TRUE(is_kept("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(is_kept("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(is_kept("GET / HTTP/1.0\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(is_kept("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"));
}

// Several MiB through one connection in both directions at once, in both framings: neither side can
// hold it, so the back-pressure of each layer has its turn.
TEST_P(HttpOverBackendsTest, EchoOfSeveralMebibytes) {
  const std::string body = PatternBytes(static_cast<size_t>(Scaled(8)) << 20);
  for (const bool chunked : {false, true}) {
    SCOPED_TRACE(chunked ? "chunked" : "with a length");
    const Fd client = Connect();
    std::thread sender([&] {
      std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
      if (!chunked) {
        absl::StrAppend(&head, "Content-Length: ", body.size(), "\r\n\r\n");
        EXPECT_TRUE(SendAll(client.get(), head) && SendAll(client.get(), body));
        return;
      }
      absl::StrAppend(&head, "Transfer-Encoding: chunked\r\n\r\n");
      EXPECT_TRUE(SendAll(client.get(), head));
      for (size_t at = 0, size = 1; at < body.size(); at += size, size = size * 3 % 100'003) {
        const std::string piece = body.substr(at, size);
        EXPECT_TRUE(
            SendAll(client.get(), absl::StrCat(absl::Hex(piece.size()), "\r\n", piece, "\r\n")));
      }
      EXPECT_TRUE(SendAll(client.get(), "0\r\n\r\n"));
    });
    int error = 0;
    const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get(), &error));
    sender.join();
    EXPECT_EQ(error, 0);
    ASSERT_EQ(parsed.responses.size(), 1U);
    EXPECT_EQ(parsed.responses[0].status, 200);
    EXPECT_EQ(parsed.responses[0].Field("Transfer-Encoding"), chunked ? "chunked" : "");
    EXPECT_TRUE(parsed.responses[0].body == body)
        << parsed.responses[0].body.size() << " bytes of " << body.size();
  }
}

TEST_P(HttpOverBackendsTest, ExpectContinue) {
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(),
                      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                      "Expect: 100-continue\r\n\r\n"));
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(ReceiveExactly(client.get(), kContinue.size()), kContinue);
  const ParsedResponse response = Ask(client, "body");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "body");

  const ParsedOutput other = ParseResponses(
      Exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: tea\r\n\r\n"));
  ASSERT_EQ(other.responses.size(), 1U);
  EXPECT_EQ(other.responses[0].status, 417);
}

TEST_P(HttpOverBackendsTest, PipelinedRepliesComeInOrderAlsoBehindALateOne) {
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(),
                      "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
                      "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
                      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get()));
  std::vector<std::string> bodies;
  for (const ParsedResponse& response : parsed.responses) bodies.push_back(response.body);
  EXPECT_EQ(bodies, (std::vector<std::string>{"from another thread", "Hello, World!", "ab",
                                              "Hello, World!"}));
}

TEST_P(HttpOverBackendsTest, MalformedRequestsEndTheirOwnConnectionOnly) {
  const Fd bystander = Connect();
  EXPECT_EQ(Ask(bystander, kGet).status, 200);
  const Fd halfway = Connect();
  ASSERT_TRUE(SendAll(halfway.get(), kGet.substr(0, 20)));
  const struct {
    std::string request;
    int status;
  } cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},                        // no Host
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},            // a space before the colon
      {"GET / HTTP/1.1\nHost: a\n\n", 400},                   // bare LF
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},  // a TLS hello
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {absl::StrCat("GET /", std::string(9000, 'a'), " HTTP/1.1\r\nHost: a\r\n\r\n"), 414},
      {absl::StrCat("GET / HTTP/1.1\r\nHost: a\r\nX: ", std::string(40000, 'a'), "\r\n\r\n"), 431},
      {"POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n", 413},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
  };
  for (const auto& [request, status] : cases) {
    SCOPED_TRACE(request.substr(0, 60));
    const ParsedOutput parsed = ParseResponses(Exchange(request));
    ASSERT_EQ(parsed.responses.size(), 1U);
    EXPECT_EQ(parsed.responses[0].status, status);
    EXPECT_EQ(parsed.responses[0].Field("Connection"), "close");
    EXPECT_EQ(Ask(bystander, kGet).status, 200);
  }
  EXPECT_EQ(Ask(halfway, kGet.substr(20)).status, 200);
}

// Nobody is accepted any more; whoever is connected gets an answer which says that it is the last.
TEST_P(HttpOverBackendsTest, DrainAnswersEveryConnection) {
  Fd idle = Connect();
  EXPECT_EQ(Ask(idle, kGet).status, 200);
  Fd untouched = Connect();
  Fd begun = Connect();
  constexpr std::string_view kPost =
      "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
  ASSERT_TRUE(SendAll(begun.get(), kPost.substr(0, kPost.size() - 2)));
  Fd late = Connect();
  ASSERT_TRUE(SendAll(late.get(), "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
  // The server has read as far as that when it answers somebody who came later.
  EXPECT_EQ(Ask(idle, kGet).status, 200);
  while (running_->server().Stats().front().accepted < 4) std::this_thread::yield();
  running_->server().Stop();
  // Where closing takes a turn of the ring, the kernel still answers for that long.
  while (Connect()) std::this_thread::yield();

  const struct {
    Fd& client;
    std::string_view request;
    std::string_view body;
  } cases[] = {
      {idle, kGet, "Hello, World!"},
      {untouched, kGet, "Hello, World!"},
      {begun, kPost.substr(kPost.size() - 2), "body"},
  };
  for (const auto& [client, request, body] : cases) {
    SCOPED_TRACE(request);
    ASSERT_TRUE(SendAll(client.get(), request));
    int error = 0;
    const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get(), &error));
    EXPECT_EQ(error, 0);
    ASSERT_EQ(parsed.responses.size(), 1U);
    EXPECT_EQ(parsed.responses[0].body, body);
    EXPECT_EQ(parsed.responses[0].Field("Connection"), "close");
    client.Reset();
  }
  // Answered before the drain began, or behind it.
  const ParsedResponse first = Ask(late, "");
  EXPECT_EQ(first.body, "from another thread");
  if (first.Field("Connection").empty()) {
    EXPECT_EQ(Ask(late, kGet).Field("Connection"), "close");
  }
  EXPECT_EQ(ReceiveToEnd(late.get()), "");
  late.Reset();
  // The last connection was the last thing to wait for.
  running_->Stop();
}

TEST_P(HttpOverBackendsTest, PipelinedRequestsDuringADrain) {
  const Fd client = Connect();
  EXPECT_EQ(Ask(client, kGet).status, 200);
  running_->server().Stop();
  while (Connect()) std::this_thread::yield();
  std::string requests;
  for (int i = 0; i < 16; ++i) requests += kGet;
  ASSERT_TRUE(SendAll(client.get(), requests));
  const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get()));
  ASSERT_EQ(parsed.responses.size(), 16U);
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(parsed.responses[i].Field("Connection"), i < 15 ? "" : "close") << i;
  }
}

// Those that are left: idle ones end in good order, the others are cut off.
TEST_P(HttpOverBackendsTest, DrainDeadline) {
  ServerOptions options;
  options.drain_timeout = std::chrono::milliseconds(300);
  running_ = std::make_unique<RunningServer>(GetParam(), *factory_, options);
  std::vector<Fd> idle;
  for (int i = 0; i < 10; ++i) {
    idle.push_back(Connect());
    EXPECT_EQ(Ask(idle.back(), kGet).status, 200);
  }
  idle.push_back(Connect());  // never says a word
  const Fd begun = Connect();
  ASSERT_TRUE(SendAll(begun.get(), kGet.substr(0, 10)));
  EXPECT_EQ(Ask(idle.front(), kGet).status, 200);
  while (running_->server().Stats().front().accepted < 12) std::this_thread::yield();
  const TimePoint start = SteadyClock().Now();
  running_->server().Stop();
  int error = 0;
  for (const Fd& client : idle) {
    EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
    EXPECT_EQ(error, 0);
    EXPECT_GE(SteadyClock().Now() - start, options.drain_timeout) << "closed too early";
  }
  EXPECT_EQ(ReceiveToEnd(begun.get(), &error), "");
  EXPECT_EQ(error, ECONNRESET);
  // Nobody lingers for the clients' FIN.
  running_->Stop();
}

INSTANTIATE_TEST_SUITE_P(Backends, HttpOverBackendsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
