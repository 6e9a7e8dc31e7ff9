// Programs behind a real server, on every backend.
#include "net/cgi/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/cgi/error_log.h"
#include "net/http/server_session_factory.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/memory_transport.h"
#include "tests/support/process_info.h"
#include "tests/support/program_directory.h"
#include "tests/support/response_parser.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kPlain = "printf 'Content-Type: text/plain\\n\\n'\n";

std::string Script(std::string_view rest) { return std::string(kPlain) + std::string(rest); }

std::string Get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
}

std::string Post(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class CgiGatewayTest : public PromiseTest {
 protected:
  void SetUp() override {
    PromiseTest::SetUp();
    options_.directory = directory_.path();
    // Longer than any test, unless it says otherwise.
    options_.timeout = std::chrono::minutes(10);
    options_.half_closed_timeout = std::chrono::minutes(10);
  }
  void TearDown() override {
    running_.reset();
    EXPECT_TRUE(ChildrenOf(::getpid()).empty()) << "a program was left";
    PromiseTest::TearDown();
  }

  // After the scripts were written and the options set.
  void Serve() {
    auto gateway = cgi::Gateway::Create(options_);
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = std::make_unique<cgi::Gateway>(*std::move(gateway));
    http::Router router;
    router.Get("/plain", [](http::Exchange& exchange) {
      exchange.Reply(200, "plain " + std::string(exchange.request().query()));
    });
    gateway_->Register(router);
    factory_ = *http::ServerSessionFactory::Create(std::move(router), http_options_);
    ServerOptions options;
    options.loop.stall_threshold = Duration::zero();
    options.drain_timeout = std::chrono::milliseconds(50);
    // Who writes more than the client reads loses the connection.
    options.connection.output_cap = 4 << 20;
    options.loop.backend.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      log_.append(line).append("\n");
    };
    running_ = std::make_unique<RunningServer>(GetParam(), *factory_, options);
  }

  Fd Connect() const { return running_->Connect(); }

  // One response on a connection that stays; status 0 when it did not come.
  static ParsedResponse Receive(const Fd& client, const std::vector<size_t>& heads = {}) {
    std::string reply;
    char bytes[1 << 16];
    for (;;) {
      const ssize_t received = ::recv(client.get(), bytes, sizeof(bytes), 0);
      if (received < 0 && errno == EINTR) continue;
      if (received <= 0) return {};
      reply.append(bytes, static_cast<size_t>(received));
      // Only an end can complete a response, and parsing a large one often takes long.
      if (reply.size() > sizeof(bytes) && !reply.ends_with("0\r\n\r\n")) continue;
      ParsedOutput parsed = ParseResponses(reply, heads);
      if (parsed.responses.empty()) continue;
      EXPECT_EQ(parsed.rest, "");
      return parsed.responses.front();
    }
  }
  static ParsedResponse Ask(const Fd& client, const std::string& request,
                            const std::vector<size_t>& heads = {}) {
    EXPECT_TRUE(SendAll(client.get(), request));
    return Receive(client, heads);
  }
  ParsedResponse Ask(const std::string& request, const std::vector<size_t>& heads = {}) const {
    return Ask(Connect(), request, heads);
  }

  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  static bool Eventually(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  bool AwaitLog(const std::string& text) {
    const bool came = Eventually([&] { return log().find(text) != std::string::npos; });
    EXPECT_TRUE(came) << "no \"" << text << "\" in: " << log();
    return came;
  }
  static bool NoChildIsLeft() {
    return Eventually([] { return ChildrenOf(::getpid()).empty(); });
  }

  const ProgramDirectory directory_;
  cgi::Options options_;
  http::Options http_options_;
  std::unique_ptr<cgi::Gateway> gateway_;
  std::unique_ptr<SessionFactory> factory_;
  std::unique_ptr<RunningServer> running_;

 private:
  std::mutex mutex_;
  std::string log_;
};
INSTANTIATE_TEST_SUITE_P(Backends, CgiGatewayTest, AllBackends(), KindName);

TEST_P(CgiGatewayTest, EnvironmentAndDirectoryOfARequest) {
  directory_.Write("folder/show", Script("env; pwd; echo \"$0 $#\""));
  Serve();
  const ParsedResponse response =
      Ask(Get("/cgi-bin/folder/show/more%20path?x=1&y=%32",
              "Proxy: evil\r\nAuthorization: secret\r\nX-Test: one\r\nx-test: two\r\n"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Field("Content-Type"), "text/plain");
  const std::string& text = response.body;
  const std::string port = std::to_string(running_->server().addresses().front().port());
  for (const std::string& line :
       {std::string("GATEWAY_INTERFACE=CGI/1.1"), std::string("PATH_INFO=/more path"),
        "PATH_TRANSLATED=" + directory_.path() + "/more path",
        std::string("QUERY_STRING=x=1&y=%32"), std::string("REMOTE_ADDR=127.0.0.1"),
        std::string("REQUEST_METHOD=GET"), std::string("SCRIPT_NAME=/cgi-bin/folder/show"),
        std::string("SERVER_NAME=test"), "SERVER_PORT=" + port,
        std::string("SERVER_PROTOCOL=HTTP/1.1"), std::string("HTTP_X_TEST=one, two"),
        std::string("PATH=/usr/local/bin:/usr/bin:/bin")}) {
    EXPECT_THAT("\n" + text, HasSubstr("\n" + line + "\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr("evil")));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, Not(HasSubstr("CONTENT_LENGTH")));
  EXPECT_THAT(text, Not(HasSubstr("HOME=")));
  EXPECT_THAT(text, HasSubstr("\n" + directory_.path() + "/folder\n./show 0\n"));
  EXPECT_TRUE(NoChildIsLeft());
  EXPECT_EQ(log(), "");
}

TEST_P(CgiGatewayTest, BodyComesBackWholeAndTheConnectionStays) {
  directory_.Write(
      "echo",
      "printf \"Status: 200\\nContent-Type: $CONTENT_TYPE\\nX-Length: $CONTENT_LENGTH\\n\\n\""
      "\nexec cat");
  Serve();
  std::string body;
  for (size_t i = 0; body.size() < (size_t{1} << 20); ++i) body += static_cast<char>(i % 251);
  const Fd client = Connect();
  for (int i = 0; i < 3; ++i) {
    // Both directions at once, or both would wait for ever.
    std::thread sender([&] {
      SendAll(client.get(),
              "POST /cgi-bin/echo HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\n"
              "Content-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n");
      SendAll(client.get(), body);
    });
    const ParsedResponse response = Receive(client);
    sender.join();
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(response.Field("Content-Type"), "x/y");
    EXPECT_EQ(response.Field("X-Length"), std::to_string(body.size()));
    ASSERT_TRUE(response.body == body);
  }
  EXPECT_EQ(Ask(client, Post("/cgi-bin/echo", "")).body, "");
}

TEST_P(CgiGatewayTest, StatusLengthAndHead) {
  directory_.Write("teapot",
                   "printf 'Status: 418 Teapot\\nContent-Type: a/b\\nContent-Length: 4\\n"
                   "Connection: close\\nSet-Cookie: a=1\\nSet-Cookie: b=2\\n\\n"
                   "body'");
  directory_.Write("method",
                   "printf 'Content-Type: a/b\\n'; echo \"X-Method: $REQUEST_METHOD\"; "
                   "echo; echo body");
  directory_.Write("empty", "printf 'Status: 204\\n\\n'");
  Serve();
  const Fd client = Connect();
  const ParsedResponse teapot = Ask(client, Get("/cgi-bin/teapot"));
  EXPECT_EQ(teapot.status, 418);
  EXPECT_EQ(teapot.body, "body");
  EXPECT_EQ(teapot.Field("Content-Length"), "4");
  EXPECT_EQ(teapot.Field("Connection"), "") << "that is the server's business";
  EXPECT_EQ(teapot.Count("Set-Cookie"), 2U);
  EXPECT_EQ(Ask(client, Get("/cgi-bin/empty")).status, 204);
  for (const char* const method : {"GET", "PUT", "PATCH", "DELETE", "POST"}) {
    const ParsedResponse response =
        Ask(client, std::string(method) + " /cgi-bin/method HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(response.Field("X-Method"), method);
    EXPECT_EQ(response.body, "body\n");
  }
  const ParsedResponse head = Ask(client, "HEAD /cgi-bin/method HTTP/1.1\r\nHost: a\r\n\r\n", {0});
  EXPECT_EQ(head.Field("X-Method"), "HEAD");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(Ask(client, Get("/cgi-bin/teapot")).status, 418);
}

TEST_P(CgiGatewayTest, Redirects) {
  directory_.Write("client", "printf 'Location: http://example.org/x\\n\\n'");
  directory_.Write("moved",
                   "printf 'Status: 301 Moved\\nLocation: http://example.org/\\n"
                   "Content-Type: text/plain\\n\\nthere'");
  directory_.Write("local", "printf 'Location: /plain?x=1\\nX-Lost: 1\\n\\nlost'");
  directory_.Write("to_program", "printf 'Location: /cgi-bin/show/info?q\\n\\n'");
  directory_.Write("show", Script("echo \"$REQUEST_METHOD $PATH_INFO $QUERY_STRING "
                                  "$CONTENT_LENGTH.$CONTENT_TYPE\"; cat"));
  directory_.Write("missing", "printf 'Location: /nowhere\\n\\n'");
  directory_.Write("round", "printf 'Location: /cgi-bin/round\\n\\n'");
  directory_.Write("broken", "printf 'Location: /%%zz\\n\\n'");
  Serve();
  const Fd client = Connect();
  ParsedResponse response = Ask(client, Get("/cgi-bin/client"));
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(response.Field("Location"), "http://example.org/x");
  response = Ask(client, Get("/cgi-bin/moved"));
  EXPECT_EQ(response.status, 301);
  EXPECT_EQ(response.body, "there");
  response = Ask(client, Get("/cgi-bin/local"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "plain x=1");
  EXPECT_EQ(response.Field("X-Lost"), "");
  EXPECT_EQ(response.Field("Location"), "");
  EXPECT_EQ(Ask(client, Get("/cgi-bin/to_program")).body, "GET /info q .\n");
  // The body went to the first program.
  EXPECT_EQ(Ask(client, Post("/cgi-bin/to_program", "text")).body, "GET /info q .\n");
  EXPECT_EQ(Ask(client, "HEAD /cgi-bin/local HTTP/1.1\r\nHost: a\r\n\r\n", {0}).status, 200);
  EXPECT_EQ(Ask(client, Get("/cgi-bin/missing")).status, 404);
  EXPECT_EQ(Ask(client, Get("/cgi-bin/round")).status, 502);
  EXPECT_EQ(Ask(client, Get("/cgi-bin/broken")).status, 502);
  EXPECT_EQ(Ask(client, Get("/plain?again")).body, "plain again");
}

// The first has ended, and has given its place back, when the second is started.
TEST_P(CgiGatewayTest, RedirectsWithRoomForOneProgram) {
  directory_.Write("to_program",
                   "printf 'Location: /cgi-bin/show\n\nlost'; sleep 0.1; echo text >file");
  directory_.Write("show", Script("cat file"));
  directory_.Write("round", "printf 'Location: /cgi-bin/round\n\n'");
  directory_.Write("killed", "printf 'Location: /cgi-bin/show\n\n'; kill -9 $$");
  directory_.Write("floods", "printf 'Location: /cgi-bin/show\n\n'; exec yes");
  options_.max_programs = 1;
  options_.max_output_bytes = 100'000;
  Serve();
  const Fd client = Connect();
  for (int i = 0; i < 3; ++i) {
    const ParsedResponse response = Ask(client, Get("/cgi-bin/to_program"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "text\n");
  }
  EXPECT_EQ(Ask(client, Get("/cgi-bin/round")).status, 502);
  AwaitLog("502: a local redirect that is not valid or has no end");
  EXPECT_EQ(Ask(client, Get("/cgi-bin/killed")).status, 502);
  AwaitLog("502: signal 9 (SIGKILL)");
  EXPECT_EQ(Ask(client, Get("/cgi-bin/floods")).status, 502);
  AwaitLog("502: more than 100000 bytes of output");
  EXPECT_TRUE(Eventually([&] { return gateway_->running() == 0; }));
}

TEST_P(CgiGatewayTest, WhatGoesWrongHasAStatusAndALine) {
  directory_.WriteFile("data", "text", 0644);
  directory_.WriteFile("garbage", "\x01\x02", 0755);
  directory_.WriteFile("no_interpreter", "#!/no/such/interpreter\n", 0755);
  directory_.Write("nph-x", "");
  directory_.Write("silent", "exit 3");
  directory_.Write("killed", "kill -9 $$");
  directory_.Write("half", "printf 'Content-Type: text'");
  directory_.Write("nonsense", "echo hello");
  Serve();
  const auto expect = [&](const std::string& path, int status, const std::string& line) {
    EXPECT_EQ(Ask(Get(path)).status, status) << path;
    AwaitLog(line);
  };
  expect("/cgi-bin/missing", 404, "cgi: /cgi-bin/missing: 404: not found: ENOENT");
  expect("/cgi-bin/%2e%2e/etc/passwd", 404, ": 404: not found: a dot segment");
  expect("/cgi-bin/data", 403, "cgi: /cgi-bin/data: 403: not executable: EACCES");
  expect("/cgi-bin/nph-x", 403, "403: nph- programs are not supported");
  expect("/cgi-bin/garbage", 502, "cgi: /cgi-bin/garbage: 502: ");
  expect("/cgi-bin/no_interpreter", 502, "cgi: /cgi-bin/no_interpreter: 502: ");
  expect("/cgi-bin/silent", 502, "502: it ended before its header did, with exit code 3");
  expect("/cgi-bin/killed", 502, "502: it ended before its header did, with signal 9 (SIGKILL)");
  expect("/cgi-bin/half", 502, "502: it ended before its header did, with exit code 0");
  expect("/cgi-bin/nonsense", 502, "502: its reply is not valid: a header line without a colon");
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(),
                      "POST /cgi-bin/silent HTTP/1.1\r\nHost: a\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
  EXPECT_EQ(Receive(client).status, 411);
  EXPECT_TRUE(NoChildIsLeft());
  EXPECT_EQ(gateway_->running(), 0);
}

TEST_P(CgiGatewayTest, RefusalsDoNotFloodTheLog) {
  Serve();
  const auto begun = std::chrono::steady_clock::now();
  const Fd client = Connect();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(Ask(client, Get("/cgi-bin/x")).status, 404);
  const std::string lines = log();
  // So many in each second that it took.
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun);
  EXPECT_GE(std::count(lines.begin(), lines.end(), '\n'), cgi::Gateway::kMaxClientLines);
  EXPECT_LE(std::count(lines.begin(), lines.end(), '\n'),
            (seconds.count() + 2) * cgi::Gateway::kMaxClientLines);
}

TEST_P(CgiGatewayTest, ClientsThatGoDoNotFloodTheLog) {
  directory_.Write("silent", "exec sleep 1000");
  Serve();
  const auto begun = std::chrono::steady_clock::now();
  constexpr int kClients = 100;
  for (int i = 0; i < kClients; ++i) {
    Fd client = Connect();
    ASSERT_TRUE(SendAll(client.get(), Get("/cgi-bin/silent")));
    ASSERT_TRUE(Eventually([&] { return gateway_->running() == 1; }));
    Reset(client);
    ASSERT_TRUE(Eventually([&] { return gateway_->running() == 0; }));
  }
  const std::string lines = log();
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun);
  EXPECT_THAT(lines, HasSubstr("killed: its client has gone"));
  EXPECT_LE(std::count(lines.begin(), lines.end(), '\n'),
            std::min<int64_t>(kClients, (seconds.count() + 2) * cgi::Gateway::kMaxClientLines));
}

TEST_P(CgiGatewayTest, ReplyThatIsCutDoesNotPassForAWholeOne) {
  directory_.Write("killed", Script("echo begun; kill -9 $$"));
  directory_.Write("short", "printf 'Content-Type: a/b\\nContent-Length: 10\\n\\nbegun\\n'");
  directory_.Write("long", "printf 'Content-Type: a/b\\nContent-Length: 5\\n\\nbegun\\n'");
  Serve();
  for (const char* const path : {"/cgi-bin/killed", "/cgi-bin/short"}) {
    const Fd client = Connect();
    ASSERT_TRUE(SendAll(client.get(), Get(path)));
    const std::string reply = ReceiveToEnd(client.get());
    EXPECT_THAT(reply, HasSubstr("begun"));
    EXPECT_TRUE(ParseResponses(reply).responses.empty()) << reply;
  }
  AwaitLog("the reply was cut: signal 9 (SIGKILL)");
  AwaitLog("the reply was cut: less output than its Content-Length");
  // Nothing was sent yet.
  EXPECT_EQ(Ask(Get("/cgi-bin/long")).status, 502);
  AwaitLog("502: more output than its Content-Length");
  // Where the end of the connection is that of the body, only a reset tells.
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(), "GET /cgi-bin/killed HTTP/1.0\r\n\r\n"));
  int error = 0;
  ReceiveToEnd(client.get(), &error);
  EXPECT_EQ(error, ECONNRESET);
}

TEST_P(CgiGatewayTest, ExitCodeBehindAReplyIsLogged) {
  directory_.Write("fails", Script("echo text; exit 7"));
  Serve();
  EXPECT_EQ(Ask(Get("/cgi-bin/fails")).body, "text\n");
  AwaitLog("]: exit code 7");
}

TEST_P(CgiGatewayTest, StandardErrorGoesToTheLog) {
  directory_.Write("complains", Script("echo one >&2; printf 'two\\033' >&2; echo text"));
  directory_.Write("floods", Script("yes complaint | head -n 10000 >&2; echo text"));
  Serve();
  EXPECT_EQ(Ask(Get("/cgi-bin/complains")).body, "text\n");
  AwaitLog("]: standard error: one\n");
  AwaitLog("]: standard error: two\\033\n");
  EXPECT_EQ(Ask(Get("/cgi-bin/floods")).body, "text\n");
  AwaitLog("standard error: " + std::to_string(10000 * 10 - cgi::ErrorLog::kMaxBytes) +
           " bytes more, left out");
}

TEST_P(CgiGatewayTest, LastWordsOfAProgramAreNotLost) {
  directory_.Write("fails", "echo why >&2; exit 5");
  Serve();
  const Fd client = Connect();
  constexpr int kTimes = 50;
  for (int i = 0; i < kTimes; ++i) EXPECT_EQ(Ask(client, Get("/cgi-bin/fails")).status, 502);
  const std::string lines = log();
  size_t found = 0;
  for (size_t at = 0; (at = lines.find("standard error: why\n", at)) != std::string::npos; ++at) {
    ++found;
  }
  EXPECT_EQ(found, static_cast<size_t>(kTimes)) << lines;
}

TEST_P(CgiGatewayTest, ClientThatGoesAwayKillsItsProgram) {
  directory_.Write("sleeps", Script("sleep 1000 & echo $!; wait"));
  directory_.Write("silent", "exec sleep 1000");
  options_.half_closed_timeout = std::chrono::milliseconds(50);
  Serve();
  for (const bool reset : {false, true}) {
    for (const bool begun : {false, true}) {
      Fd client = Connect();
      ASSERT_TRUE(SendAll(client.get(), Get(begun ? "/cgi-bin/sleeps" : "/cgi-bin/silent")));
      pid_t grandchild = -1;
      if (begun) {
        std::string text;
        while (!text.ends_with("\n\r\n") || text.ends_with("\r\n\r\n")) {
          const std::string byte = ReceiveExactly(client.get(), 1);
          ASSERT_FALSE(byte.empty()) << text;
          text += byte;
        }
        // "\r\n\r\nSIZE\r\nPID\n\r\n"
        text.erase(0, text.find("\r\n\r\n") + 4);
        grandchild = std::stoi(text.substr(text.find('\n') + 1));
        ASSERT_NE(StateOf(grandchild), 0);
      }
      ASSERT_TRUE(Eventually([&] { return gateway_->running() == 1; }));
      const std::vector<pid_t> programs = ChildrenOf(::getpid());
      ASSERT_EQ(programs.size(), 1U);
      const pid_t program = programs.front();
      if (reset) {
        Reset(client);
      } else {
        client.Reset();
      }
      // Without a pause, since who is killed does not stay for long.
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (gateway_->running() != 0 && std::chrono::steady_clock::now() < deadline) {
      }
      EXPECT_EQ(StateOf(program), 0) << "its place is free, but it is there";
      EXPECT_EQ(gateway_->running(), 0);
      if (grandchild > 0) {
        EXPECT_TRUE(
            Eventually([&] { return StateOf(grandchild) == 0 || StateOf(grandchild) == 'Z'; }));
      }
    }
  }
  AwaitLog("killed: its client has gone");
  AwaitLog("killed: its client has closed the connection");
}

TEST_P(CgiGatewayTest, ClientThatHasNothingMoreToAskGetsItsReply) {
  directory_.Write("reads", Script("read line; echo \"$line\""));
  Serve();
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(), Post("/cgi-bin/reads", "text\n")));
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  const ParsedOutput output = ParseResponses(ReceiveToEnd(client.get()));
  ASSERT_EQ(output.responses.size(), 1U);
  EXPECT_EQ(output.responses[0].body, "text\n");
}

// For longer than half_closed_timeout, which is for programs that say nothing.
TEST_P(CgiGatewayTest, HalfClosedClientGetsAReplyThatFlows) {
  directory_.Write("flows",
                   Script("until [ -e enough ]; do echo line; sleep 0.05; done; echo over"));
  options_.half_closed_timeout = std::chrono::seconds(1);
  Serve();
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(), Get("/cgi-bin/flows")));
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  std::string reply;
  while (std::chrono::steady_clock::now() - begun < 5 * options_.half_closed_timeout / 2) {
    const std::string byte = ReceiveExactly(client.get(), 1);
    ASSERT_FALSE(byte.empty()) << log();
    reply += byte;
  }
  directory_.WriteFile("enough", "", 0644);
  const ParsedOutput output = ParseResponses(reply + ReceiveToEnd(client.get()));
  ASSERT_EQ(output.responses.size(), 1U) << log();
  EXPECT_TRUE(output.responses[0].body.ends_with("line\nover\n"));
}

TEST_P(CgiGatewayTest, ProgramsHaveABound) {
  directory_.Write("waits", Script("read line; echo \"$line\""));
  options_.max_programs = 2;
  Serve();
  std::vector<Fd> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(Connect());
    ASSERT_TRUE(SendAll(clients.back().get(),
                        "POST /cgi-bin/waits HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"));
  }
  ASSERT_TRUE(Eventually([&] { return gateway_->running() == 2; }));
  const Fd third = Connect();
  const ParsedResponse refused = Ask(third, Post("/cgi-bin/waits", "more\n"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.Field("Retry-After"), "1");
  AwaitLog("503: as many programs run as may: 2");
  for (const Fd& client : clients) {
    ASSERT_TRUE(SendAll(client.get(), "text\n"));
    EXPECT_EQ(Receive(client).body, "text\n");
  }
  ASSERT_TRUE(Eventually([&] { return gateway_->running() == 0; }));
  EXPECT_EQ(Ask(Post("/cgi-bin/waits", "more\n")).body, "more\n");
}

TEST_P(CgiGatewayTest, OutputHasABound) {
  directory_.Write("endless", Script("exec yes"));
  directory_.Write("announced",
                   "printf 'Content-Type: a/b\\nContent-Length: 100001\\n\\n'; exec yes");
  directory_.Write("exact", Script("yes | head -c 100000"));
  options_.max_output_bytes = 100'000;
  Serve();
  EXPECT_EQ(Ask(Get("/cgi-bin/exact")).body.size(), 100'000U);
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(), Get("/cgi-bin/endless")));
  const std::string reply = ReceiveToEnd(client.get());
  EXPECT_TRUE(ParseResponses(reply).responses.empty());
  EXPECT_LE(reply.size(), 110'000U);
  AwaitLog("the reply was cut: more than 100000 bytes of output");
  EXPECT_EQ(Ask(Get("/cgi-bin/announced")).status, 502);
  EXPECT_TRUE(NoChildIsLeft());
}

TEST_P(CgiGatewayTest, TimeHasABound) {
  directory_.Write("silent", "exec sleep 1000");
  directory_.Write("begun", Script("echo begun; exec sleep 1000"));
  options_.timeout = std::chrono::seconds(2);
  Serve();
  const Fd silent = Connect();
  ASSERT_TRUE(SendAll(silent.get(), Get("/cgi-bin/silent")));
  const Fd begun = Connect();
  ASSERT_TRUE(SendAll(begun.get(), Get("/cgi-bin/begun")));
  EXPECT_EQ(Receive(silent).status, 504);
  AwaitLog("504: it took longer than it may");
  EXPECT_TRUE(ParseResponses(ReceiveToEnd(begun.get())).responses.empty());
  AwaitLog("the reply was cut: it took longer than it may");
  EXPECT_TRUE(NoChildIsLeft());
}

TEST_P(CgiGatewayTest, ProgramThatGoesOnBehindItsReplyMustEndToo) {
  directory_.Write("behind", Script("echo whole; exec >&- 2>&-; exec sleep 1000"));
  options_.timeout = std::chrono::seconds(5);
  Serve();
  const Fd client = Connect();
  EXPECT_EQ(Ask(client, Get("/cgi-bin/behind")).body, "whole\n");
  EXPECT_EQ(Ask(client, Get("/plain?x")).body, "plain x");
  EXPECT_EQ(gateway_->running(), 1);
  AwaitLog("killed: it went on behind its reply");
  EXPECT_TRUE(NoChildIsLeft());
}

TEST_P(CgiGatewayTest, SlowClientHoldsItsProgramBack) {
  constexpr size_t kBytes = 32 << 20;
  directory_.Write("large", Script("head -c 33554432 /dev/zero; echo over >&2"));
  Serve();
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(), Get("/cgi-bin/large", "Connection: close\r\n")));
  EXPECT_EQ(ReceiveExactly(client.get(), 12), "HTTP/1.1 200");
  // What is between it and the client (pipe, sockets, output) is less than it has to say.
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_EQ(log(), "");
  }
  const ParsedOutput output = ParseResponses("HTTP/1.1 200" + ReceiveToEnd(client.get()));
  ASSERT_EQ(output.responses.size(), 1U);
  EXPECT_EQ(output.responses[0].body.size(), kBytes);
  AwaitLog("standard error: over");
}

TEST_P(CgiGatewayTest, ProgramThatDoesNotReadHoldsItsClientBack) {
  const std::string gate = directory_.path() + "/gate";
  ASSERT_EQ(::mkfifo(gate.c_str(), 0600), 0);
  directory_.Write("late", Script("read go <gate; wc -c"));
  http_options_.limits.body_bytes = 1 << 30;
  Serve();
  const Fd client = Connect();
  constexpr size_t kBytes = 64 << 20;
  ASSERT_TRUE(SendAll(client.get(), "POST /cgi-bin/late HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                                        std::to_string(kBytes) + "\r\n\r\n"));
  // Pipe, sockets and what may wait for the program: a few MiB.
  size_t sent = 0;
  for (int quiet = 0; quiet < 20 && sent < kBytes / 2;) {
    const size_t more = FillSocket(client.get());
    sent += more;
    quiet = more == 0 ? quiet + 1 : 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_LT(sent, kBytes / 2);
  const Fd open_gate(::open(gate.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::write(open_gate.get(), "go\n", 3), 3);
  ASSERT_TRUE(SendAll(client.get(), std::string(kBytes - sent, 'x')));
  EXPECT_EQ(Receive(client).body, std::to_string(kBytes) + "\n");
}

TEST_P(CgiGatewayTest, BodyThatNobodyReadsIsNoHindrance) {
  directory_.Write("ignores", Script("exec <&-; echo ignored"));
  Serve();
  const Fd client = Connect();
  for (int i = 0; i < 3; ++i) {
    std::thread sender(
        [&] { SendAll(client.get(), Post("/cgi-bin/ignores", std::string(200'000, 'x'))); });
    const ParsedResponse response = Receive(client);
    sender.join();
    EXPECT_EQ(response.body, "ignored\n");
  }
}

TEST_P(CgiGatewayTest, ServerThatStopsLeavesNoProgram) {
  directory_.Write("sleeps", Script("sleep 1000 & echo $!; wait"));
  directory_.Write("behind", Script("exec >&- 2>&-; exec sleep 1000"));
  Serve();
  std::vector<Fd> clients;
  for (const char* const path : {"/cgi-bin/sleeps", "/cgi-bin/behind"}) {
    clients.push_back(Connect());
    ASSERT_TRUE(SendAll(clients.back().get(), Get(path)));
    ASSERT_EQ(ReceiveExactly(clients.back().get(), 12), "HTTP/1.1 200");
  }
  running_.reset();
  EXPECT_TRUE(ChildrenOf(::getpid()).empty());
}

TEST_P(CgiGatewayTest, ManyRequestsLeaveNoZombieAndNoDescriptor) {
  directory_.Write("small", Script("echo small"));
  Serve();
  const Fd client = Connect();
  EXPECT_EQ(Ask(client, Get("/cgi-bin/small")).body, "small\n");
  ASSERT_TRUE(Eventually([&] { return gateway_->running() == 0; }));
  ASSERT_TRUE(NoChildIsLeft());
  const auto before = DescriptorKinds(::getpid());
  // What is left behind is hardly the backend's affair: the whole number on one of them.
  const int requests = Scaled(GetParam() == BackendKind::kEpollEt ? 10'000 : 1'000);
  for (int i = 0; i < requests; ++i) {
    ASSERT_EQ(Ask(client, Get("/cgi-bin/small")).body, "small\n") << i;
  }
  EXPECT_TRUE(NoChildIsLeft());
  ASSERT_TRUE(Eventually([&] { return gateway_->running() == 0; }));
  EXPECT_EQ(DescriptorKinds(::getpid()), before);
  EXPECT_EQ(log(), "");
}

TEST(CgiGatewayWithoutLoopTest, IsNotImplemented) {
  const ProgramDirectory directory;
  directory.Write("x", "exit 0");
  cgi::Options options;
  options.directory = directory.path();
  auto gateway = cgi::Gateway::Create(options);
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  http::Router router;
  gateway->Register(router);
  auto factory = http::ServerSessionFactory::Create(std::move(router));
  MemoryTransport transport((*factory)->CreateSession());
  transport.Open();
  transport.Feed(Get("/cgi-bin/x"));
  EXPECT_THAT(transport.received(), HasSubstr("HTTP/1.1 501 "));
}

TEST(CgiGatewayOptionsTest, WhatMakesNoSenseIsRefused) {
  const ProgramDirectory directory;
  cgi::Options options;
  options.directory = directory.path() + "/missing";
  EXPECT_EQ(cgi::Gateway::Create(options).status().code(), absl::StatusCode::kNotFound);
  options.directory = directory.path();
  EXPECT_TRUE(cgi::Gateway::Create(options).ok());
  for (const char* const prefix : {"", "cgi/", "/cgi"}) {
    cgi::Options wrong = options;
    wrong.prefix = prefix;
    EXPECT_FALSE(cgi::Gateway::Create(wrong).ok()) << prefix;
  }
  options.timeout = Duration::zero();
  EXPECT_FALSE(cgi::Gateway::Create(options).ok());
}

}  // namespace
}  // namespace quintet::testing
