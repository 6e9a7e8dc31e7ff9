// The echo service: what a message is, that its output stays bounded, its deadlines.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "apps/echo/echo_session.h"
#include "tests/support/memory_transport.h"
#include "tests/support/peers.h"

namespace quintet::echo {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::MemoryTransport;

// A connection to a service with these options.
class Connected {
 public:
  explicit Connected(const EchoOptions& options, MemoryTransport::Marks marks = {})
      : factory_(options), transport_(factory_.CreateSession(), marks) {
    transport_.Open();
  }
  MemoryTransport* operator->() { return &transport_; }

 private:
  EchoFactory factory_;
  MemoryTransport transport_;
};

const EchoOptions kOk = {.reply = "OK"};

TEST(EchoTest, SendsBackEveryByteAndEndsAfterTheClient) {
  Connected client({});
  const std::string bytes = testing::PatternBytes(100'000);
  for (size_t at = 0; at < bytes.size(); at += 7'000) client->Feed(bytes.substr(at, 7'000));
  EXPECT_FALSE(client->closing());
  client->FeedEof();
  EXPECT_TRUE(client->received() == bytes);
  EXPECT_TRUE(client->closing());
  EXPECT_FALSE(client->aborted());
}

TEST(EchoTest, AnswersEachLineHoweverItsBytesArrive) {
  const std::string lines = "one\r\n\ntwo three\n";
  for (size_t split = 0; split <= lines.size(); ++split) {
    Connected client(kOk);
    if (split > 0) client->Feed(lines.substr(0, split));
    if (split < lines.size()) client->Feed(lines.substr(split));
    EXPECT_EQ(client->received(), "OK\nOK\nOK\n") << split;
    EXPECT_TRUE(client->session().idle());
    client->FeedEof();
    EXPECT_EQ(client->received(), "OK\nOK\nOK\n") << split;
    EXPECT_TRUE(client->closing());
  }
  Connected slow(kOk);
  for (const char c : lines) slow->Feed({&c, 1});
  EXPECT_EQ(slow->received(), "OK\nOK\nOK\n");
}

TEST(EchoTest, ALineThatOnlyTheEndEndsIsAMessage) {
  Connected client(kOk);
  client->Feed("first\nsecond");
  EXPECT_EQ(client->received(), "OK\n");
  EXPECT_FALSE(client->session().idle());
  client->FeedEof();
  EXPECT_EQ(client->received(), "OK\nOK\n");
  EXPECT_TRUE(client->closing());

  Connected silent(kOk);
  silent->FeedEof();
  EXPECT_EQ(silent->received(), "");
  EXPECT_TRUE(silent->closing());
}

TEST(EchoTest, AClientThatDoesNotReadIsNotListenedTo) {
  const MemoryTransport::Marks marks = {.high_bytes = 1000, .low_bytes = 100, .cap_bytes = 1 << 20};
  for (const EchoOptions& options : {EchoOptions(), kOk}) {
    Connected client(options, marks);
    client->set_auto_take(false);
    const std::string lines(900, '\n');
    std::string expected;
    for (const char c : lines) expected += options.reply.empty() ? std::string(1, c) : "OK\n";
    client->Feed(lines);
    client->Feed(lines);
    expected += expected;
    // A short line has a longer answer, so not even all of one arrival may be taken.
    EXPECT_TRUE(client->output_blocked());
    EXPECT_LE(client->output_bytes(), marks.high_bytes + lines.size());
    const size_t output = client->output_bytes();
    client->Feed("\n");
    EXPECT_EQ(client->output_bytes(), output);
    expected += options.reply.empty() ? "\n" : "OK\n";
    // What it does not read is its own loss of time, not of bytes.
    for (int turn = 0; turn < 1000 && client->received().size() < expected.size(); ++turn) {
      client->Take(client->output_bytes());
    }
    EXPECT_EQ(client->received(), expected);
    EXPECT_EQ(client->unread_bytes(), 0u);
    EXPECT_FALSE(client->closing());
  }
}

TEST(EchoTest, AClientThatSaysNothingSeesTheEnd) {
  Connected client({.timeouts = {.idle = seconds(10)}});
  client->Advance(seconds(9));
  client->Feed("x");
  client->Advance(milliseconds(9999));
  EXPECT_FALSE(client->closing());
  client->Advance(milliseconds(1));
  EXPECT_TRUE(client->closing());
  EXPECT_FALSE(client->aborted());
  EXPECT_EQ(client->received(), "x");
}

TEST(EchoTest, NoConnectionLastsLongerThanTheTotal) {
  Connected client({.timeouts = {.idle = seconds(10), .total = seconds(25)}});
  for (int i = 0; i < 4; ++i) {
    client->Advance(seconds(6));
    client->Feed("x");
  }
  EXPECT_FALSE(client->closing());
  client->Advance(seconds(1));
  EXPECT_EQ(client->abort_reason(), CloseReason::kDeadline);
}

TEST(EchoTest, ZeroIsNoDeadline) {
  Connected client({.timeouts = {.idle = Duration::zero()}});
  EXPECT_EQ(client->deadline(), kNever);
  client->Feed("x");
  EXPECT_EQ(client->deadline(), kNever);
}

// For a peer that does not read the transport has a deadline.
TEST(EchoTest, AClientWhoseOutputWaitsIsNotIdle) {
  Connected client({.timeouts = {.idle = seconds(10)}},
                   {.high_bytes = 10, .low_bytes = 5, .cap_bytes = 1000});
  client->set_auto_take(false);
  client->Feed("more than the mark");
  EXPECT_EQ(client->deadline(), kNever);
  client->Advance(seconds(100));
  EXPECT_FALSE(client->closing());
  client->Take(client->output_bytes());
  EXPECT_EQ(client->deadline(), client->now() + seconds(10));
}

TEST(EchoTest, ADrainEndsItAfterItsOutput) {
  Connected client({});
  client->set_auto_take(false);
  client->Feed("x");
  client->Drain();
  EXPECT_TRUE(client->closing());
  EXPECT_FALSE(client->aborted());
  client->Take(1);
  EXPECT_EQ(client->received(), "x");
}

}  // namespace
}  // namespace quintet::echo
