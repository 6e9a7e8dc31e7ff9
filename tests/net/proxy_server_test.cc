// A server behind a proxy that sends PROXY headers, over every backend.
#include <errno.h>
#include <gmock/gmock.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/http/router.h"
#include "net/http/server_session_factory.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/response_parser.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kV1 = "PROXY TCP4 192.0.2.7 203.0.113.9 54321 443\r\n";
const std::string kV2 =
    "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\xd4\x31\x01\xbb"s;
const std::string kLocal = "\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0"s;
constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kGetAndClose = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

// Answers the client's address.
std::unique_ptr<SessionFactory> MakeClientFactory() {
  http::Router router;
  router.Get("/", [](http::Exchange& exchange) {
    const absl::StatusOr<Address> address = exchange.PeerAddress();
    EXPECT_TRUE(address.ok()) << address.status();
    exchange.Reply(200, address.ok() ? address->ToString() : "");
  });
  return *http::ServerSessionFactory::Create(std::move(router));
}

class ProxyServerTest : public PromiseTest {
 protected:
  void SetUp() override {
    PromiseTest::SetUp();
    options_.proxy_protocol = true;
    options_.loop.backend.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      log_.emplace_back(line);
    };
  }
  void TearDown() override {
    running_.reset();
    PromiseTest::TearDown();
  }
  void Start() {
    running_.reset();
    running_ = std::make_unique<RunningServer>(GetParam(), *factory_, options_);
  }
  Fd Connect() const { return running_->Connect(); }

  // The body of the one answer that `client` gets, after which the server closes.
  static std::string LastBody(const Fd& client) {
    int error = 0;
    const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get(), &error));
    EXPECT_EQ(error, 0);
    EXPECT_EQ(parsed.responses.size(), 1U);
    if (parsed.responses.empty()) return "";
    EXPECT_EQ(parsed.responses[0].status, 200);
    EXPECT_EQ(parsed.responses[0].Field("Connection"), "close");
    return parsed.responses[0].body;
  }
  std::string Ask(const std::string& header) const {
    const Fd client = Connect();
    EXPECT_TRUE(SendAll(client.get(), header + std::string(kGetAndClose)));
    return LastBody(client);
  }
  static std::string OwnAddress(const Fd& client) {
    Socket borrowed(client.get());
    const absl::StatusOr<Address> address = borrowed.LocalAddress();
    [[maybe_unused]] const int fd = borrowed.Release();
    return address.ok() ? address->ToString() : "";
  }
  // Reset, without a byte.
  static void ExpectReset(const Fd& client) {
    int error = 0;
    EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
    EXPECT_EQ(error, ECONNRESET);
  }
  ShardStats Stats() const { return running_->server().Stats().front(); }
  std::vector<std::string> Log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  const std::unique_ptr<SessionFactory> factory_ = MakeClientFactory();
  ServerOptions options_;
  std::unique_ptr<RunningServer> running_;

 private:
  std::mutex mutex_;
  std::vector<std::string> log_;
};

TEST_P(ProxyServerTest, HeadersOfBothVersionsNameTheClient) {
  Start();
  EXPECT_EQ(Ask(kV1), "192.0.2.7:54321");
  EXPECT_EQ(Ask(kV2), "[2001:db8::7]:54321");
  for (const std::string& header : {kLocal, "PROXY UNKNOWN\r\n"s}) {
    const Fd client = Connect();
    ASSERT_TRUE(SendAll(client.get(), header + std::string(kGetAndClose)));
    EXPECT_EQ(LastBody(client), OwnAddress(client));
  }
  EXPECT_EQ(Stats().proxy_errors, 0U);
}

TEST_P(ProxyServerTest, WithoutTheOptionTheClientIsTheOtherEnd) {
  options_.proxy_protocol = false;
  Start();
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(), kGetAndClose));
  EXPECT_EQ(LastBody(client), OwnAddress(client));
  const Fd proxy = Connect();
  ASSERT_TRUE(SendAll(proxy.get(), kV1 + std::string(kGetAndClose)));
  EXPECT_THAT(ReceiveToEnd(proxy.get()), AllOf(HasSubstr("HTTP/1.1 "), Not(HasSubstr(" 200 "))));
}

// Byte by byte, as segments: the header is put together, and the requests behind it are served.
TEST_P(ProxyServerTest, HeaderThatDripsAndAConnectionThatIsKept) {
  Start();
  for (const auto& [header, address] :
       {std::pair{kV1, "192.0.2.7:54321"s}, std::pair{kV2, "[2001:db8::7]:54321"s}}) {
    const Fd client = Connect();
    for (const char byte : header) ASSERT_TRUE(SendAll(client.get(), {&byte, 1}));
    ASSERT_TRUE(SendAll(client.get(), std::string(kGet) + std::string(kGetAndClose)));
    const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get()));
    ASSERT_EQ(parsed.responses.size(), 2U);
    EXPECT_EQ(parsed.responses[0].body, address);
    EXPECT_EQ(parsed.responses[1].body, address);
  }
}

TEST_P(ProxyServerTest, WrongHeadersEndTheirOwnConnectionOnly) {
  Start();
  const Fd bystander = Connect();
  ASSERT_TRUE(SendAll(bystander.get(), kV1.substr(0, 20)));
  const std::vector<std::string> wrong = {
      std::string(kGet),
      "PROXY TCP4 192.0.2.7 203.0.113.9 1\r\n" + std::string(kGet),
      "PROXY TCP6 192.0.2.7 203.0.113.9 1 2\r\n" + std::string(kGet),
      "PROXY " + std::string(200, 'x'),
      "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c"s + std::string(12, 'x'),
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04"s + std::string(4, 'x'),
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"s,
  };
  for (const std::string& bytes : wrong) {
    SCOPED_TRACE(bytes.substr(0, 40));
    const Fd client = Connect();
    ASSERT_TRUE(SendAll(client.get(), bytes));
    ExpectReset(client);
  }
  // Cut off: the peer has no more to say.
  const Fd halved = Connect();
  ASSERT_TRUE(SendAll(halved.get(), kV1.substr(0, 30)));
  ASSERT_EQ(::shutdown(halved.get(), SHUT_WR), 0);
  ExpectReset(halved);
  // Nobody has claimed anything.
  {
    const Fd probe = Connect();
    ASSERT_EQ(::shutdown(probe.get(), SHUT_WR), 0);
    int error = 0;
    EXPECT_EQ(ReceiveToEnd(probe.get(), &error), "");
    EXPECT_EQ(error, 0);
  }

  EXPECT_EQ(Stats().proxy_errors, wrong.size() + 1);
  const std::vector<std::string> log = Log();
  ASSERT_FALSE(log.empty());
  EXPECT_THAT(log[0], AllOf(HasSubstr("PROXY header of 127.0.0.1:"),
                            HasSubstr("does not begin with a PROXY header")));

  ASSERT_TRUE(SendAll(bystander.get(), kV1.substr(20) + std::string(kGetAndClose)));
  EXPECT_EQ(LastBody(bystander), "192.0.2.7:54321");
}

TEST_P(ProxyServerTest, SilenceAndDripsMeetTheDeadline) {
  options_.proxy_header_timeout = 200ms;
  Start();
  const auto start = std::chrono::steady_clock::now();
  const Fd silent = Connect();
  const Fd dripping = Connect();
  std::thread drip([&] {
    for (const char byte : kV1) {
      if (!SendAll(dripping.get(), {&byte, 1})) break;
      std::this_thread::sleep_for(20ms);
    }
  });
  ExpectReset(silent);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 200ms);
  // Whichever of the two threads asks first is told of the reset.
  EXPECT_EQ(ReceiveToEnd(dripping.get()), "");
  drip.join();
  EXPECT_EQ(Stats().proxy_errors, 2U);
}

// The proxy has connected, and its header is on the way, when the drain begins.
TEST_P(ProxyServerTest, DrainBeforeTheHeader) {
  Start();
  Fd untouched = Connect();
  Fd begun = Connect();
  ASSERT_TRUE(SendAll(begun.get(), kV1.substr(0, 20)));
  while (Stats().accepted < 2 || Stats().bytes_in < 20) std::this_thread::yield();
  running_->server().Stop();
  while (Connect()) std::this_thread::yield();  // until nobody listens
  for (Fd* client : {&untouched, &begun}) {
    const std::string rest = client == &begun ? kV1.substr(20) : kV1;
    ASSERT_TRUE(SendAll(client->get(), rest + std::string(kGet)));
    EXPECT_EQ(LastBody(*client), "192.0.2.7:54321");
    client->Reset();
  }
  running_->Stop();
}

INSTANTIATE_TEST_SUITE_P(Backends, ProxyServerTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
