#include "net/proxy_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/net/scripted_session.h"
#include "tests/support/memory_file.h"
#include "tests/support/memory_transport.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kV1 = "PROXY TCP4 192.0.2.7 203.0.113.9 54321 443\r\n";
const std::string kV2 =
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02\x07\xcb\x00\x71\x09\xd4\x31\x01\xbb"s;
const std::string kLocal = "\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0"s;
constexpr char kClient[] = "192.0.2.7:54321";
constexpr char kOtherEnd[] = "192.0.2.1:1024";  // of a MemoryTransport

class ProxySessionTest : public ::testing::Test {
 protected:
  ProxySessionTest() {
    proxy.on_refused = [this](std::string_view why, const Transport& of) {
      refusals.emplace_back(why);
      refused_of.push_back(of.PeerAddress()->ToString());
    };
    script.on_open = [this](Transport& t) { address_at_open = t.PeerAddress()->ToString(); };
  }
  // A new connection; what was seen of an earlier one is forgotten.
  void Open() {
    transport.reset();
    script.calls.clear();
    script.received.clear();
    script.destroyed = false;
    refusals.clear();
    refused_of.clear();
    transport = std::make_unique<MemoryTransport>(
        std::make_unique<ProxySession>(NewSession(script), proxy));
    transport->Open();
  }
  // The header was refused: with a reset, and with no call of the session behind it.
  void ExpectRefused(const std::string& why) {
    EXPECT_EQ(transport->abort_reason(), CloseReason::kProxyHeader);
    ASSERT_EQ(refusals.size(), 1U);
    EXPECT_THAT(refusals[0], HasSubstr(why));
    EXPECT_THAT(refused_of, ElementsAre(kOtherEnd));
    EXPECT_THAT(script.calls, IsEmpty());
    EXPECT_TRUE(script.destroyed);
    EXPECT_EQ(transport->received(), "");
  }

  ProxyOptions proxy;
  std::vector<std::string> refusals;
  std::vector<std::string> refused_of;
  Script script;
  std::string address_at_open;
  std::unique_ptr<MemoryTransport> transport;
};

TEST_F(ProxySessionTest, OpensTheSessionBehindTheHeaderWithTheClientsAddress) {
  for (const std::string& header : {kV1, kV2}) {
    Open();
    EXPECT_THAT(script.calls, IsEmpty());
    transport->Feed(header);
    EXPECT_THAT(script.calls, ElementsAre("open"));
    EXPECT_EQ(address_at_open, kClient);
    EXPECT_EQ(transport->deadline(), kNever);
    EXPECT_FALSE(transport->reading_paused());
  }
  EXPECT_THAT(refusals, IsEmpty());
}

TEST_F(ProxySessionTest, HeaderOfTheProxyItselfLeavesTheAddress) {
  for (const std::string& header : {kLocal, "PROXY UNKNOWN\r\n"s}) {
    address_at_open.clear();
    Open();
    transport->Feed(header);
    EXPECT_EQ(address_at_open, kOtherEnd);
  }
}

TEST_F(ProxySessionTest, WhatFollowsTheHeaderIsTheSessionsAtEverySplit) {
  for (const std::string& header : {kV1, kV2, kLocal}) {
    const std::string input = header + "PROXY, said the client\r\n";
    for (size_t at = 0; at <= input.size(); ++at) {
      Open();
      transport->Feed(std::string_view(input).substr(0, at));
      transport->Feed(std::string_view(input).substr(at));
      ASSERT_EQ(script.received, "PROXY, said the client\r\n") << at;
      ASSERT_EQ(script.Count("open"), 1U);
      ASSERT_EQ(script.calls.front(), "open");
    }
    Open();
    for (const char byte : input) transport->Feed(std::string_view(&byte, 1));
    EXPECT_EQ(script.received, "PROXY, said the client\r\n");
  }
}

TEST_F(ProxySessionTest, ForwardsEveryCallback) {
  script.on_data = [](Transport& t, std::string_view bytes) {
    t.Write(std::string(100'000, 'x'));
    t.SetDeadline(t.now() + 1s);
    return bytes.size();
  };
  script.on_deadline = [](Transport& t) { t.SetDeadline(kNever); };
  script.on_drain = [](Transport&) {};
  Open();
  transport->Feed(kV1 + "a");
  transport->Advance(2s);
  transport->Drain();
  EXPECT_FALSE(transport->session().idle());
  script.idle = true;
  EXPECT_TRUE(transport->session().idle());
  transport->FeedEof();
  transport.reset();
  EXPECT_THAT(script.calls,
              ElementsAre("open", "data", "drained", "deadline", "drain", "eof", "closed"));
  EXPECT_TRUE(script.destroyed);
}

TEST_F(ProxySessionTest, AFileThatIsShortIsTheSessionsAffair) {
  const auto file = MakeFile("file");
  uint64_t missing = 0;
  script.on_data = [&](Transport& t, std::string_view bytes) {
    t.WriteFile(file, 1, 5);
    t.Write(".");
    return bytes.size();
  };
  script.on_file_short = [&](Transport&, uint64_t bytes) { missing = bytes; };
  Open();
  transport->Feed(kV1 + "x");
  EXPECT_EQ(missing, 2U);
  EXPECT_EQ(transport->received(), "ile\0\0."s);
}

TEST_F(ProxySessionTest, InputThatTheSessionDoesNotConsumeIsKept) {
  script.on_data = [](Transport&, std::string_view) { return size_t{1}; };
  Open();
  transport->Feed(kV1 + "abc");
  EXPECT_EQ(script.received, "a");
  EXPECT_TRUE(transport->reading_paused());
  EXPECT_EQ(transport->unread_bytes(), 2U);
  transport->ResumeReading();
  transport->Feed("d");
  EXPECT_EQ(script.received, "ab");
}

TEST_F(ProxySessionTest, SessionThatPausesAtOnceGetsItsInputLater) {
  script.on_open = [](Transport& t) { t.PauseReading(); };
  Open();
  transport->Feed(kV1 + "abc");
  EXPECT_THAT(script.calls, ElementsAre("open"));
  transport->ResumeReading();
  transport->Feed("d");
  EXPECT_EQ(script.received, "abcd");
}

TEST_F(ProxySessionTest, SessionThatEndsAtOnceGetsNoInput) {
  const std::vector<std::function<void(Transport&)>> ends = {
      [](Transport& t) { t.Close(); }, [](Transport& t) { t.Abort(CloseReason::kAborted); }};
  for (const auto& end : ends) {
    script.on_open = end;
    Open();
    transport->Drain();
    transport->Feed(kV1 + "abc");
    EXPECT_TRUE(transport->closing());
    transport.reset();
    EXPECT_THAT(script.calls, ElementsAre("open", "closed"));
  }
}

TEST_F(ProxySessionTest, SessionThatThrowsWhenOpenedIsToldTheEnd) {
  script.on_open = [](Transport&) { throw std::runtime_error("open"); };
  Open();
  transport->Feed(kV1 + "abc");
  EXPECT_THAT(script.calls, ElementsAre("open", "closed"));
  EXPECT_EQ(script.reason, CloseReason::kSessionError);
  EXPECT_THAT(refusals, IsEmpty());
}

TEST_F(ProxySessionTest, WrongHeaderIsRefusedAsSoonAsItIsWrong) {
  Open();
  transport->Feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ExpectRefused("does not begin with a PROXY header");
}

TEST_F(ProxySessionTest, WrongByteOfAHeaderThatDrips) {
  Open();
  transport->Feed("PROX");
  EXPECT_FALSE(transport->closing());
  transport->Feed("X");
  ExpectRefused("does not begin with a PROXY header");
}

// Longer than the largest header in one piece, behind a part of one.
TEST_F(ProxySessionTest, FloodBehindAPartOfAHeader) {
  Open();
  transport->Feed("PROXY UNKNOWN ");
  transport->Feed(std::string(100'000, 'x'));
  ExpectRefused("more than 107 bytes");
}

TEST_F(ProxySessionTest, HeaderThatIsCutOff) {
  for (const std::string& header : {kV1, kV2}) {
    for (size_t size = 1; size < header.size(); ++size) {
      Open();
      transport->Feed(header.substr(0, size));
      transport->FeedEof();
      ExpectRefused("ended within its header");
    }
  }
}

// As a balancer looks whether somebody listens.
TEST_F(ProxySessionTest, ConnectionThatEndsBeforeItsFirstByteIsClosedWithoutAWord) {
  Open();
  transport->FeedEof();
  EXPECT_TRUE(transport->closing());
  EXPECT_FALSE(transport->aborted());
  EXPECT_THAT(refusals, IsEmpty());
  transport.reset();
  EXPECT_THAT(script.calls, IsEmpty());
}

TEST_F(ProxySessionTest, HeaderThatDripsMeetsItsDeadline) {
  proxy.header_timeout = 3s;
  Open();
  for (int i = 0; i < 29; ++i) {
    transport->Feed(kV1.substr(static_cast<size_t>(i), 1));
    transport->Advance(100ms);
  }
  EXPECT_FALSE(transport->closing());
  transport->Advance(200ms);
  ExpectRefused("in time");
}

TEST_F(ProxySessionTest, SilenceMeetsTheDeadlineOfFiveSeconds) {
  Open();
  transport->Advance(4900ms);
  EXPECT_FALSE(transport->closing());
  transport->Advance(200ms);
  ExpectRefused("in time");
}

TEST_F(ProxySessionTest, ZeroTimeoutMeansNone) {
  proxy.header_timeout = Duration::zero();
  Open();
  EXPECT_EQ(transport->deadline(), kNever);
}

TEST_F(ProxySessionTest, NobodyNeedsToBeToldOfRefusals) {
  proxy.on_refused = nullptr;
  Open();
  transport->Feed("GET");
  EXPECT_EQ(transport->abort_reason(), CloseReason::kProxyHeader);
}

// The proxy has connected for a request, which is on its way.
TEST_F(ProxySessionTest, DrainBeforeTheHeaderIsToldBehindIt) {
  script.on_drain = [](Transport&) {};
  Open();
  EXPECT_TRUE(transport->session().idle());
  transport->Feed(kV1.substr(0, 10));
  EXPECT_FALSE(transport->session().idle());
  transport->Drain();
  EXPECT_FALSE(transport->closing());
  transport->Feed(kV1.substr(10) + "request");
  EXPECT_THAT(script.calls, ElementsAre("open", "drain", "data"));
  EXPECT_EQ(script.received, "request");
}

TEST_F(ProxySessionTest, DrainBeforeTheHeaderClosesASessionThatIsClosedByDrains) {
  Open();
  transport->Drain();
  transport->Feed(kV1 + "request");
  EXPECT_TRUE(transport->closing());
  EXPECT_FALSE(transport->aborted());
  EXPECT_THAT(script.calls, ElementsAre("open", "drain"));
}

TEST_F(ProxySessionTest, MayBeDestroyedAtAnyMoment) {
  const std::string input = kV1 + "abc";
  for (size_t size = 0; size <= input.size(); ++size) {
    Open();
    transport->Feed(input.substr(0, size));
    transport.reset();
    EXPECT_TRUE(script.destroyed);
    EXPECT_EQ(script.Count("closed"), script.Count("open"));
  }
}

}  // namespace
}  // namespace quintet::testing
