// Promise 31: 16 pipelined requests in one segment give 16 ordered replies in one write, at every
// possible split of the bytes.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/memory_transport.h"
#include "tests/support/response_parser.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

constexpr int kRequests = 16;

// The time stands still, so that replies to the same requests are the same bytes.
class StoppedClock final : public http::WallClock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
  }
};

std::unique_ptr<SessionFactory> MakeFactory() {
  return MakeHelloFactory({}, std::make_shared<StoppedClock>());
}

// Without a body, with a length, and in chunks by turns; each reply tells which it answers.
std::string Requests() {
  std::string requests;
  for (int i = 0; i < kRequests; ++i) {
    const std::string number = absl::StrCat("<", i, ">");
    switch (i % 3) {
      case 0:
        absl::StrAppend(&requests, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        break;
      case 1:
        absl::StrAppend(&requests,
                        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ", number.size(),
                        "\r\n\r\n", number);
        break;
      default:
        absl::StrAppend(&requests, "POST /whole HTTP/1.1\r\nHost: a\r\n",
                        "Transfer-Encoding: chunked\r\n\r\n", number.size(), "\r\n", number,
                        "\r\n0\r\n\r\n");
        break;
    }
  }
  return requests;
}

void ExpectOrderedReplies(std::string_view output) {
  const ParsedOutput parsed = ParseResponses(output);
  EXPECT_EQ(parsed.rest, "");
  ASSERT_EQ(parsed.responses.size(), static_cast<size_t>(kRequests));
  for (int i = 0; i < kRequests; ++i) {
    const ParsedResponse& response = parsed.responses[static_cast<size_t>(i)];
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, i % 3 == 0 ? "Hello, World!" : absl::StrCat("<", i, ">"));
  }
}

// The session alone. MemoryTransport counts the callbacks that wrote as flushes: each is one send.
TEST(PipeliningTest, OneFlushForOneArrivalAtEverySplit) {
  const auto factory = MakeFactory();
  const std::string requests = Requests();
  std::string expected;
  {
    MemoryTransport transport(factory->CreateSession());
    transport.Open();
    transport.Feed(requests);
    EXPECT_EQ(transport.flushes(), 1U);
    expected = transport.received();
    ExpectOrderedReplies(expected);
  }
  for (size_t split = 1; split < requests.size(); ++split) {
    MemoryTransport transport(factory->CreateSession());
    transport.Open();
    transport.Feed(std::string_view(requests).substr(0, split));
    transport.Feed(std::string_view(requests).substr(split));
    EXPECT_LE(transport.flushes(), 2U) << "split at " << split;
    ASSERT_EQ(transport.received(), expected) << "split at " << split;
  }
  MemoryTransport transport(factory->CreateSession());
  transport.Open();
  for (const char octet : requests) transport.Feed({&octet, 1});
  EXPECT_EQ(transport.received(), expected) << "octet by octet";
}

// Over real sockets: the backend's counters are the receives and sends that really happened.
class PipeliningBackendTest : public PromiseTest {
 protected:
  void TearDown() override {
    client_.Reset();
    PromiseTest::TearDown();
  }

  void Start() {
    MakeGroup();
    factory_ = MakeFactory();
    client_ = Connect(factory_->CreateSession());
    RunFor(std::chrono::milliseconds(1));
  }

  // Sends and runs the loop until the session has all of it.
  void Send(std::string_view bytes) {
    sent_ += bytes.size();
    ASSERT_TRUE(SendAll(client_.get(), bytes));
    ASSERT_TRUE(RunUntil([this] { return group()->counters().bytes_in == sent_; }));
  }

  // What one recv(2) of the client brings once `size` bytes are there.
  std::string ReceiveAtOnce(size_t size) {
    std::string bytes(1 << 16, '\0');
    ssize_t peeked = 0;
    EXPECT_TRUE(RunUntil([&] {
      peeked = ::recv(client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_PEEK);
      return peeked >= static_cast<ssize_t>(size);
    })) << peeked
        << " of " << size << " bytes";
    const ssize_t received = ::recv(client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(received > 0 ? static_cast<size_t>(received) : 0);
    return bytes;
  }

  // After the last send was reported too.
  uint64_t Operations() {
    EXPECT_TRUE(RunUntil([&] { return group()->counters().bytes_out == replied_; }));
    const BackendStats& stats = loop().backend().stats();
    return stats.completions + stats.sends_now;
  }

  std::unique_ptr<SessionFactory> factory_;
  Fd client_;
  uint64_t sent_ = 0;
  uint64_t replied_ = 0;
};

TEST_P(PipeliningBackendTest, OneWriteForOneSegmentAtEverySplit) {
  Start();
  const std::string requests = Requests();
  std::string expected;
  {
    MemoryTransport transport(factory_->CreateSession());
    transport.Open();
    transport.Feed(requests);
    expected = transport.received();
  }
  const uint64_t before = Operations();
  Send(requests);
  EXPECT_EQ(ReceiveAtOnce(expected.size()), expected);
  replied_ += expected.size();
  EXPECT_EQ(Operations() - before, 2U) << "one receive and one send";
  ExpectOrderedReplies(expected);

  for (size_t split = 1; split < requests.size(); split += kThreadSanitizer ? 7 : 1) {
    const uint64_t begin = Operations();
    ASSERT_NO_FATAL_FAILURE(Send(std::string_view(requests).substr(0, split)));
    ASSERT_NO_FATAL_FAILURE(Send(std::string_view(requests).substr(split)));
    ASSERT_EQ(ReceiveAtOnce(expected.size()), expected) << "split at " << split;
    replied_ += expected.size();
    ASSERT_LE(Operations() - begin, 4U) << "split at " << split;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, PipeliningBackendTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
