#include "net/notify_socket.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "net/address.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"
#include "tests/support/peers.h"
#include "tests/support/scratch_directory.h"

namespace quintet {
namespace {

using testing::Fd;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The manager's end: receives datagrams.
class Manager {
 public:
  explicit Manager(const std::string& value) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const absl::StatusOr<Address> address = Address::Parse("unix:" + value);
    EXPECT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(bind(fd_.get(), address->data(), address->size()), 0) << strerror(errno);
    testing::SetTimeouts(fd_.get(), testing::kPeerTimeout);
  }

  std::string Receive() {
    char buffer[NotifySocket::kMaxMessageBytes + 1];
    const ssize_t size = recv(fd_.get(), buffer, sizeof(buffer), 0);
    EXPECT_GE(size, 0) << strerror(errno);
    return std::string(buffer, size > 0 ? static_cast<size_t>(size) : 0);
  }

  bool HasNone() {
    char byte = 0;
    return recv(fd_.get(), &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }

 private:
  Fd fd_;
};

class NotifySocketTest : public testing::DescriptorLeakTest {
 protected:
  static NotifySocket MustCreate(const std::string& value) {
    absl::StatusOr<NotifySocket> result = NotifySocket::Create(value);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : NotifySocket();
  }

  static std::string ErrorOf(const std::string& value) {
    const absl::Status status = NotifySocket::Create(value).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << value << ": " << status;
    return std::string(status.message());
  }

  const testing::ScratchDirectory directory_;
  const std::string path_ = directory_ / "notify";
};

TEST_F(NotifySocketTest, WithoutAManagerNothingHappens) {
  for (const NotifySocket& socket : {NotifySocket(), MustCreate("")}) {
    EXPECT_FALSE(socket.enabled());
    EXPECT_EQ(socket.value(), "");
    EXPECT_TRUE(socket.Ready("serving").ok());
    EXPECT_TRUE(socket.Reloading().ok());
    EXPECT_TRUE(socket.Stopping().ok());
    EXPECT_TRUE(socket.MainPid(1).ok());
  }
}

TEST_F(NotifySocketTest, SendsToAPath) {
  Manager manager(path_);
  const NotifySocket socket = MustCreate(path_);
  EXPECT_TRUE(socket.enabled());
  EXPECT_EQ(socket.value(), path_);
  ASSERT_TRUE(socket.Send("READY=1\nSTATUS=Serving").ok());
  EXPECT_EQ(manager.Receive(), "READY=1\nSTATUS=Serving");
  EXPECT_TRUE(manager.HasNone());
}

TEST_F(NotifySocketTest, SendsToAnAbstractName) {
  const std::string name = "@quintet_notify_test_" + std::to_string(getpid());
  Manager manager(name);
  ASSERT_TRUE(MustCreate(name).Ready().ok());
  EXPECT_EQ(manager.Receive(), "READY=1");
}

TEST_F(NotifySocketTest, HasAMessageForEachState) {
  Manager manager(path_);
  const NotifySocket socket = MustCreate(path_);
  ASSERT_TRUE(socket.Ready().ok());
  EXPECT_EQ(manager.Receive(), "READY=1");
  ASSERT_TRUE(socket.Ready("listening on 127.0.0.1:80").ok());
  EXPECT_EQ(manager.Receive(), "READY=1\nSTATUS=listening on 127.0.0.1:80");
  ASSERT_TRUE(socket.Stopping().ok());
  EXPECT_EQ(manager.Receive(), "STOPPING=1");
  ASSERT_TRUE(socket.MainPid(4711).ok());
  EXPECT_EQ(manager.Receive(), "MAINPID=4711");
}

TEST_F(NotifySocketTest, ReloadingHasTheTimeOfTheMonotonicClock) {
  Manager manager(path_);
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000;
  };
  const int64_t before = now();
  ASSERT_TRUE(MustCreate(path_).Reloading().ok());
  const int64_t after = now();
  const std::string message = manager.Receive();
  const std::string head = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_THAT(message, StartsWith(head));
  const int64_t sent = std::stoll(message.substr(head.size()));
  EXPECT_LE(before, sent);
  EXPECT_LE(sent, after);
}

TEST_F(NotifySocketTest, BadValuesSaySo) {
  EXPECT_EQ(ErrorOf("run/notify"),
            "environment NOTIFY_SOCKET: \"run/notify\" is neither an absolute path nor an abstract "
            "name such as @manager");
  EXPECT_THAT(ErrorOf("vsock:2:1234"), HasSubstr("\"vsock:2:1234\" is neither"));
  EXPECT_THAT(ErrorOf("@"), HasSubstr("environment NOTIFY_SOCKET: "));
  EXPECT_THAT(ErrorOf("/" + std::string(200, 'x')), HasSubstr("has 201 bytes, more than the 107"));
}

TEST_F(NotifySocketTest, BadMessagesSaySo) {
  Manager manager(path_);
  const NotifySocket socket = MustCreate(path_);
  EXPECT_TRUE(absl::IsInvalidArgument(socket.Ready("one\nMAINPID=1")));
  EXPECT_TRUE(
      absl::IsInvalidArgument(socket.Send(std::string(NotifySocket::kMaxMessageBytes + 1, 'x'))));
  EXPECT_TRUE(manager.HasNone());
  const std::string longest(NotifySocket::kMaxMessageBytes, 'x');
  ASSERT_TRUE(socket.Send(longest).ok());
  EXPECT_EQ(manager.Receive(), longest);
}

TEST_F(NotifySocketTest, AManagerThatIsGoneIsAnError) {
  const NotifySocket socket = MustCreate(path_);
  EXPECT_THAT(std::string(socket.Ready().message()),
              HasSubstr("notify " + path_ + ": ENOENT (No such file or directory)"));
  { const Manager manager(path_); }
  EXPECT_THAT(std::string(socket.Ready().message()), HasSubstr("ECONNREFUSED"));
}

TEST_F(NotifySocketTest, AManagerThatDoesNotReadBlocksNobody) {
  Manager manager(path_);
  const NotifySocket socket = MustCreate(path_);
  absl::Status status;
  constexpr int kMoreThanAnyQueueHolds = 100'000;
  for (int i = 0; i < kMoreThanAnyQueueHolds && status.ok(); ++i) status = socket.Ready();
  EXPECT_THAT(std::string(status.message()), HasSubstr("EAGAIN"));
}

TEST_F(NotifySocketTest, TheVariableIsTaken) {
  Manager manager(path_);
  EXPECT_EQ(testing::InChild([&]() -> std::string {
              setenv("NOTIFY_SOCKET", path_.c_str(), 1);
              const absl::StatusOr<NotifySocket> socket = NotifySocket::TakeFromEnvironment();
              if (!socket.ok()) return socket.status().ToString();
              if (getenv("NOTIFY_SOCKET") != nullptr) return "still set";
              if (!socket->Ready().ok()) return "not sent";
              const absl::StatusOr<NotifySocket> again = NotifySocket::TakeFromEnvironment();
              return again.ok() && !again->enabled() ? "taken" : "taken twice";
            }),
            "taken");
  EXPECT_EQ(manager.Receive(), "READY=1");
  // Also when it is wrong.
  EXPECT_EQ(testing::InChild([]() -> std::string {
              setenv("NOTIFY_SOCKET", "x", 1);
              const bool ok = NotifySocket::TakeFromEnvironment().ok();
              return std::string(ok ? "ok" : "refused") +
                     (getenv("NOTIFY_SOCKET") != nullptr ? ", still set" : ", removed");
            }),
            "refused, removed");
}

}  // namespace
}  // namespace quintet
