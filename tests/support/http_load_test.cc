// The load generator against a server that misbehaves on purpose: each counter is seen to move.
#include "tests/support/http_load.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr char kReply[] = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";
constexpr char kLastReply[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHello, World!";

// Blocking, on a thread of its own, one connection at a time, each left to `serve`.
class RawServer {
 public:
  // `serve` gets the connection and how many there were before it.
  explicit RawServer(std::function<void(Fd, int)> serve)
      : serve_(std::move(serve)), address_(AddressOf(listener_)) {
    thread_ = std::thread([this] {
      for (int index = 0;; ++index) {
        // Not SOCK_NONBLOCK, whatever the listener is.
        pollfd ready{.fd = listener_.fd.get(), .events = POLLIN, .revents = 0};
        ::poll(&ready, 1, -1);
        Fd fd(::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd) return;
        SetTimeouts(fd.get(), kPeerTimeout);
        serve_(std::move(fd), index);
      }
    });
  }
  ~RawServer() {
    ::shutdown(listener_.fd.get(), SHUT_RDWR);  // accept4(2) fails from here on
    thread_.join();
  }

  const Address& address() const { return address_; }

 private:
  static Address AddressOf(const TestListener& listener) {
    return *Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&listener.address),
                                  sizeof(listener.address));
  }

  const std::function<void(Fd, int)> serve_;
  const TestListener listener_ = MakeListener();
  const Address address_;
  std::thread thread_;
};

// False at the end of the connection.
bool ReadRequest(const Fd& fd) {
  std::string request;
  while (!request.ends_with("\r\n\r\n")) {
    const std::string byte = ReceiveExactly(fd.get(), 1);
    if (byte.empty()) return false;
    request += byte;
  }
  return true;
}

void ServeWell(const Fd& fd) {
  while (ReadRequest(fd) && SendAll(fd.get(), kReply)) {
  }
}

void AwaitUnreadRequest(const Fd& fd) {
  pollfd ready{.fd = fd.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
}

class HttpLoadTest : public DescriptorLeakTest {
 protected:
  using Report = HttpLoad::Report;

  // Longer than the server takes to do what it is to do between two requests.
  static constexpr std::chrono::seconds kLongThought{5};

  static std::function<bool(const Report&)> Answered(uint64_t count) {
    return [count](const Report& report) { return report.answered >= count; };
  }

  // The report of one client, against a server whose first connection is served by `first` and all
  // others well, once there was another.
  static Report RunWith(const std::function<void(Fd&)>& first, HttpLoad::Options options = {}) {
    RawServer server([&first](Fd fd, int index) { index == 0 ? first(fd) : ServeWell(fd); });
    options.connections = 1;
    HttpLoad load(server.address(), options);
    EXPECT_TRUE(load.WaitUntil([](const Report& report) { return report.connects >= 2; }));
    return load.Stop();
  }
};

TEST_F(HttpLoadTest, AGoodServerGivesACleanReport) {
  RawServer server([](const Fd& fd, int) { ServeWell(fd); });
  HttpLoad load(server.address(), {.connections = 1});
  EXPECT_TRUE(load.WaitForRequests(100));
  const Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  EXPECT_GE(report.answered, 100U);
  EXPECT_EQ(report.answered, report.requests) << "what was under way was waited for";
  EXPECT_EQ(report.connects, 1U);
  EXPECT_EQ(report.clean_closes, 0U);
  EXPECT_EQ(load.Stop().answered, report.answered);
}

TEST_F(HttpLoadTest, ClosedUnderARequestThatWasRead) {
  const Report report = RunWith([](Fd& fd) { EXPECT_TRUE(ReadRequest(fd)); });
  EXPECT_EQ(report.closed_under_request, 1U) << report.ToString();
  EXPECT_EQ(report.failures(), 1U) << report.ToString();
}

TEST_F(HttpLoadTest, ClosedBeforeTheRequestWasRead) {
  const Report report = RunWith([](Fd& fd) {
    EXPECT_TRUE(ReadRequest(fd) && SendAll(fd.get(), kReply));
    AwaitUnreadRequest(fd);
    ::shutdown(fd.get(), SHUT_WR);
    ReceiveToEnd(fd.get());
  });
  EXPECT_EQ(report.closed_under_request, 1U) << report.ToString();
  EXPECT_EQ(report.failures(), 1U) << report.ToString();
}

TEST_F(HttpLoadTest, ResetUnderARequest) {
  const Report report = RunWith([](Fd& fd) {
    AwaitUnreadRequest(fd);
    fd.Reset();  // unread input: the kernel resets
  });
  EXPECT_EQ(report.resets, 1U) << report.ToString();
  EXPECT_EQ(report.failures(), 1U) << report.ToString();
}

TEST_F(HttpLoadTest, ResetBetweenRequests) {
  std::atomic<bool> reply_was_read = false;
  RawServer server([&](Fd fd, int index) {
    if (index > 0) return ServeWell(fd);
    EXPECT_TRUE(ReadRequest(fd) && SendAll(fd.get(), kReply));
    reply_was_read.wait(false);
    Reset(fd);
  });
  HttpLoad load(server.address(), {.connections = 1, .think_time = kLongThought});
  EXPECT_TRUE(load.WaitUntil(Answered(1)));
  reply_was_read = true;
  reply_was_read.notify_one();
  EXPECT_TRUE(load.WaitUntil(Answered(2)));
  const Report report = load.Stop();
  EXPECT_EQ(report.idle_resets, 1U) << report.ToString();
  EXPECT_EQ(report.failures(), 1U) << report.ToString();
}

TEST_F(HttpLoadTest, TruncatedReply) {
  const Report report = RunWith([](Fd& fd) {
    EXPECT_TRUE(ReadRequest(fd));
    EXPECT_TRUE(SendAll(fd.get(), std::string_view(kReply).substr(0, 45)));
  });
  EXPECT_EQ(report.truncated, 1U) << report.ToString();
  EXPECT_EQ(report.failures(), 1U) << report.ToString();
}

TEST_F(HttpLoadTest, BadReplies) {
  for (const char* const bad :
       {"HTTP/1.1 500 Oh\r\nContent-Length: 13\r\n\r\nHello, World!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!!", "SMTP ready"}) {
    const Report report = RunWith([bad](Fd& fd) {
      EXPECT_TRUE(ReadRequest(fd));
      EXPECT_TRUE(SendAll(fd.get(), bad));
      ReceiveToEnd(fd.get());
    });
    EXPECT_EQ(report.bad_replies, 1U) << bad << ": " << report.ToString();
    EXPECT_EQ(report.failures(), 1U) << bad << ": " << report.ToString();
  }
}

TEST_F(HttpLoadTest, NoReplyInTime) {
  const Report report = RunWith([](Fd& fd) { ReceiveToEnd(fd.get()); }, {.patience = 1s});
  EXPECT_GE(report.timeouts, 1U) << report.ToString();
  EXPECT_EQ(report.failures(), report.timeouts) << report.ToString();
}

TEST_F(HttpLoadTest, CloseThatWasAnnouncedIsClean) {
  const Report report =
      RunWith([](Fd& fd) { EXPECT_TRUE(ReadRequest(fd) && SendAll(fd.get(), kLastReply)); });
  EXPECT_EQ(report.clean_closes, 1U) << report.ToString();
  EXPECT_TRUE(report.clean()) << report.ToString();
}

TEST_F(HttpLoadTest, CloseBetweenRequestsIsClean) {
  const Report report = RunWith(
      [](Fd& fd) {
        EXPECT_TRUE(ReadRequest(fd) && SendAll(fd.get(), kReply));
        fd.Reset();
      },
      {.think_time = kLongThought});
  EXPECT_EQ(report.clean_closes, 1U) << report.ToString();
  EXPECT_TRUE(report.clean()) << report.ToString();
}

TEST_F(HttpLoadTest, ConnectsThatFailAreCountedByErrno) {
  const sockaddr_in nobody = RefusingAddress();
  HttpLoad load(*Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&nobody), sizeof(nobody)));
  EXPECT_TRUE(load.WaitUntil(
      [](const Report& report) { return report.failed_connects_of_any_kind() >= 10; }));
  const Report report = load.Stop();
  EXPECT_EQ(report.failed_connects.at(ECONNREFUSED), report.failures()) << report.ToString();
  EXPECT_THAT(report.ToString(), HasSubstr("ECONNREFUSED="));
  EXPECT_FALSE(report.clean());
}

TEST_F(HttpLoadTest, ConnectsAnewAsPlanned) {
  RawServer server([](const Fd& fd, int) { ServeWell(fd); });
  HttpLoad each(server.address(), {.connections = 1, .reconnecting = 1, .max_requests = 20});
  EXPECT_TRUE(each.WaitUntil(Answered(20)));
  EXPECT_EQ(each.Stop().connects, 20U);
  HttpLoad some(server.address(),
                {.connections = 1, .requests_per_connection = 5, .max_requests = 20});
  EXPECT_TRUE(some.WaitUntil(Answered(20)));
  EXPECT_EQ(some.Stop().connects, 4U);
  EXPECT_TRUE(each.report().clean() && some.report().clean());
}

TEST_F(HttpLoadTest, EndsAtItsBounds) {
  RawServer server([](const Fd& fd, int) { ServeWell(fd); });
  HttpLoad few(server.address(), {.connections = 1, .max_requests = 7});
  EXPECT_FALSE(few.WaitForRequests(1000)) << "it has ended before";
  EXPECT_EQ(few.report().answered, 7U);
  HttpLoad brief(server.address(), {.connections = 1, .max_duration = 50ms});
  EXPECT_FALSE(brief.WaitUntil([](const Report&) { return false; }));
  EXPECT_TRUE(brief.report().clean());
}

}  // namespace
}  // namespace quintet::testing
