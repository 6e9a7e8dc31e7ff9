// Sockets and readiness from a service manager: LISTEN_FDS, LISTEN_PID, NOTIFY_SOCKET.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "net/listener.h"
#include "tests/net/real_server.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ActivationTest : public DescriptorLeakTest,
                       public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "/quintet_activation_" + std::to_string(::getpid());
    manager_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    manager_path_ = path_ + ".notify";
    manager_path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(manager_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    SetTimeouts(manager_.get(), kPeerTimeout);
  }
  void TearDown() override {
    ::unlink(manager_path_.c_str());
    ::unlink(path_.c_str());
    hello_.reset();
    manager_.Reset();
    DescriptorLeakTest::TearDown();
  }

  // Starts hello with these descriptors from 3 on, as a service manager does.
  void Start(const std::vector<int>& descriptors, const std::vector<std::string>& more) {
    ChildProcess::Options options;
    options.environment = {"LISTEN_FDS=" + std::to_string(descriptors.size()),
                           "NOTIFY_SOCKET=" + manager_path_};
    options.before_exec = [descriptors] {
      // Out of the way first: one may be where another is to go.
      std::vector<int> aside;
      for (const int fd : descriptors) aside.push_back(::fcntl(fd, F_DUPFD, 100));
      for (size_t i = 0; i < aside.size(); ++i) {
        ::dup2(aside[i], 3 + static_cast<int>(i));
        ::close(aside[i]);
      }
    };
    std::vector<std::string> arguments = {"-c",
                                          "LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" \"$@\"",
                                          QUINTET_HELLO_PATH,
                                          "--worker-kind",
                                          GetParam(),
                                          "--shards",
                                          "2",
                                          "--pin=false"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    hello_ = std::make_unique<ChildProcess>("/bin/sh", arguments, options);
  }
  // What the manager is told next.
  std::string Told() {
    char text[4096];
    const ssize_t size = ::recv(manager_.get(), text, sizeof(text), 0);
    return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
  }
  static std::string Get(const Address& address) {
    const Fd client = Dial(address);
    if (!client || !SendAll(client.get(), "GET / HTTP/1.0\r\n\r\n")) return "";
    return ReceiveToEnd(client.get());
  }

  std::string path_;
  std::string manager_path_;
  Fd manager_;
  std::unique_ptr<ChildProcess> hello_;
};
std::string ActivationName(const ::testing::TestParamInfo<const char*>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(Kinds, ActivationTest, ::testing::Values("thread", "process"),
                         ActivationName);

TEST_P(ActivationTest, ServesOnWhatItIsGivenAndTellsHowItFares) {
  auto tcp = ListenOn(*Address::Parse("127.0.0.1:0"), {});
  auto unix = ListenOn(*Address::Parse("unix:" + path_), {});
  ASSERT_TRUE(tcp.ok() && unix.ok());
  const Address tcp_address = *tcp->LocalAddress();
  const Address unix_address = *unix->LocalAddress();
  // Whoever connects before it has started waits.
  const Fd early = Dial(tcp_address);
  ASSERT_TRUE(early);
  Start({tcp->fd(), unix->fd()},
        {"--listen", tcp_address.ToString(), "--listen", unix_address.ToString()});
  EXPECT_THAT(Told(), HasSubstr("READY=1"));
  EXPECT_THAT(hello_->ReadErrorLine(),
              AllOf(HasSubstr(tcp_address.ToString()), HasSubstr("2 workers share 1 socket")));
  EXPECT_THAT(hello_->ReadErrorLine(),
              AllOf(HasSubstr("listening on"), HasSubstr(tcp_address.ToString())));
  ASSERT_TRUE(SendAll(early.get(), "GET / HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(ReceiveToEnd(early.get()), HasSubstr("Hello, World!"));
  EXPECT_THAT(Get(tcp_address), HasSubstr("Hello, World!"));
  EXPECT_THAT(Get(unix_address), HasSubstr("Hello, World!"));

  hello_->Signal(SIGHUP);
  EXPECT_THAT(Told(), StartsWith("RELOADING=1"));
  EXPECT_THAT(Told(), HasSubstr("READY=1"));
  EXPECT_THAT(Get(tcp_address), HasSubstr("Hello, World!"));

  hello_->Signal(SIGTERM);
  EXPECT_THAT(Told(), HasSubstr("STOPPING=1"));
  EXPECT_EQ(hello_->Wait(), 0);
  // The manager's sockets and files are the manager's still.
  struct stat info;
  EXPECT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_TRUE(Dial(tcp_address));
}

TEST_P(ActivationTest, SocketsOfAnotherProcessAreNotTaken) {
  auto tcp = ListenOn(*Address::Parse("127.0.0.1:0"), {});
  ASSERT_TRUE(tcp.ok());
  ChildProcess::Options options;
  options.environment = {"LISTEN_FDS=1", "LISTEN_PID=1"};
  ChildProcess hello(QUINTET_HELLO_PATH,
                     {"--worker-kind", GetParam(), "--listen", tcp->LocalAddress()->ToString()},
                     options);
  EXPECT_EQ(hello.Wait(), 1);
  EXPECT_THAT(hello.error(), HasSubstr("EADDRINUSE"));
}

TEST_P(ActivationTest, WhatIsNoListeningSocketIsRefused) {
  const SocketPair pair = MakeTcpPair();
  Start({pair.ours.get()}, {"--listen", "127.0.0.1:0"});
  EXPECT_EQ(hello_->Wait(), 1);
  EXPECT_THAT(hello_->error(), HasSubstr("LISTEN_FDS"));
}

// The successor of an upgrade finds the manager, too, and is named to it.
TEST_P(ActivationTest, AnUpgradeIsTold) {
  auto tcp = ListenOn(*Address::Parse("127.0.0.1:0"), {});
  ASSERT_TRUE(tcp.ok());
  const Address address = *tcp->LocalAddress();
  Start({tcp->fd()}, {"--listen", address.ToString(), "--drain-timeout", "1s"});
  EXPECT_THAT(Told(), HasSubstr("READY=1"));
  hello_->Signal(SIGUSR2);
  EXPECT_THAT(Told(), HasSubstr("READY=1"));
  const std::string named = Told();
  ASSERT_THAT(named, StartsWith("MAINPID="));
  EXPECT_EQ(hello_->Wait(), 0);
  EXPECT_THAT(Get(address), HasSubstr("Hello, World!"));
  const pid_t successor = std::stoi(named.substr(8));
  ASSERT_EQ(::kill(successor, SIGTERM), 0);
  EXPECT_THAT(Told(), HasSubstr("STOPPING=1"));
}

}  // namespace
}  // namespace quintet::testing
