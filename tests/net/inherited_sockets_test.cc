#include "net/inherited_sockets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"
#include "tests/support/scratch_directory.h"

namespace quintet {
namespace {

using testing::Fd;
using testing::InChild;
using testing::IsOpen;

// What the activating process sets; nullopt: not set.
struct Variables {
  std::optional<std::string> pid;
  std::optional<std::string> fds;
  std::optional<std::string> names = std::nullopt;
};

void SetVariables(const Variables& variables) {
  const auto set = [](const char* name, const std::optional<std::string>& value) {
    unsetenv(name);
    if (value) setenv(name, value->c_str(), 1);
  };
  set("LISTEN_PID", variables.pid);
  set("LISTEN_FDS", variables.fds);
  set("LISTEN_FDNAMES", variables.names);
}

bool AnyVariable() {
  return getenv("LISTEN_PID") != nullptr || getenv("LISTEN_FDS") != nullptr ||
         getenv("LISTEN_FDNAMES") != nullptr;
}

// Puts descriptors at 3 and the numbers that follow, as the activating process leaves them:
// blocking, and open across execve(2).
void Place(std::vector<Fd> descriptors) {
  constexpr int kOutOfTheWay = 100;
  std::vector<Fd> high;
  for (Fd& fd : descriptors) {
    high.emplace_back(fcntl(fd.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
    fd.Reset();
  }
  int target = kFirstInheritedDescriptor;
  for (const Fd& fd : high) {
    dup2(fd.get(), target);
    fcntl(target, F_SETFL, fcntl(target, F_GETFL) & ~O_NONBLOCK);
    ++target;
  }
  close(target);
}

Fd MustListen(const std::string& address) {
  absl::StatusOr<Socket> socket = ListenOn(*Address::Parse(address), {});
  if (!socket.ok()) return Fd();
  // As systemd.socket(5) leaves it without NoDelay=.
  if (!address.starts_with("unix:")) static_cast<void>(socket->SetNoDelay(false));
  return Fd(socket->Release());
}

std::string Describe(const InheritedSocket& inherited) {
  const int fd = inherited.socket.fd();
  std::string text = std::to_string(fd) + " " + inherited.name + " " +
                     inherited.address.WithPort(inherited.address.port() != 0).ToString();
  if (fcntl(fd, F_GETFD) & FD_CLOEXEC) text += " cloexec";
  if (fcntl(fd, F_GETFL) & O_NONBLOCK) text += " nonblocking";
  int no_delay = 0;
  socklen_t length = sizeof(no_delay);
  getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length);
  return text + (no_delay != 0 ? " nodelay\n" : "\n");
}

std::string Describe(const absl::StatusOr<std::vector<InheritedSocket>>& sockets) {
  std::string text;
  if (!sockets.ok()) {
    text = std::string(sockets.status().message()) + "\n";
    if (!absl::IsInvalidArgument(sockets.status())) text += "(" + sockets.status().ToString() + ")";
  } else {
    for (const InheritedSocket& socket : *sockets) text += Describe(socket);
  }
  return text + (AnyVariable() ? "a variable is left" : "");
}

// What a process started with these descriptors and variables finds. PID stands for its own id.
std::string Take(Variables variables, const std::function<std::vector<Fd>()>& descriptors = {}) {
  return InChild([&] {
    Place(descriptors ? descriptors() : std::vector<Fd>());
    if (variables.pid == "PID") variables.pid = std::to_string(getpid());
    SetVariables(variables);
    return Describe(TakeInheritedSockets());
  });
}

class InheritedSocketsTest : public testing::DescriptorLeakTest {
 protected:
  const testing::ScratchDirectory directory_;
};

TEST_F(InheritedSocketsTest, TakesThemInOrderAndPreparesThem) {
  const std::string path = directory_ / "s";
  EXPECT_EQ(Take({.pid = "PID", .fds = "2", .names = "http:admin"},
                 [&] {
                   std::vector<Fd> fds;
                   fds.push_back(MustListen("127.0.0.1:0"));
                   fds.push_back(MustListen("unix:" + path));
                   return fds;
                 }),
            "3 http 127.0.0.1:1 cloexec nonblocking nodelay\n4 admin unix:" + path +
                " cloexec nonblocking\n");
}

TEST_F(InheritedSocketsTest, NamesAreOptional) {
  EXPECT_EQ(Take({.pid = "PID", .fds = "1"},
                 [] {
                   std::vector<Fd> fds;
                   fds.push_back(MustListen("unix:@quintet_inherited_test"));
                   return fds;
                 }),
            "3  unix:@quintet_inherited_test cloexec nonblocking\n");
}

TEST_F(InheritedSocketsTest, TheyAcceptConnections) {
  EXPECT_EQ(InChild([]() -> std::string {
              std::vector<Fd> fds;
              fds.push_back(MustListen("127.0.0.1:0"));
              Place(std::move(fds));
              SetVariables({.pid = std::to_string(getpid()), .fds = "1"});
              const absl::StatusOr<std::vector<InheritedSocket>> taken = TakeInheritedSockets();
              if (!taken.ok() || taken->size() != 1) return "not taken";
              const InheritedSocket& inherited = taken->front();
              const Socket client(socket(AF_INET, SOCK_STREAM, 0));
              const Address& address = inherited.address;
              if (connect(client.fd(), address.data(), address.size()) != 0) return "refused";
              const Socket accepted(accept(inherited.socket.fd(), nullptr, nullptr));
              return accepted.valid() ? "accepted" : "not accepted";
            }),
            "accepted");
}

TEST_F(InheritedSocketsTest, ASecondCallFindsNone) {
  EXPECT_EQ(InChild([]() -> std::string {
              std::vector<Fd> fds;
              fds.push_back(MustListen("127.0.0.1:0"));
              Place(std::move(fds));
              SetVariables({.pid = std::to_string(getpid()), .fds = "1"});
              const absl::StatusOr<std::vector<InheritedSocket>> first = TakeInheritedSockets();
              const absl::StatusOr<std::vector<InheritedSocket>> second = TakeInheritedSockets();
              if (!first.ok() || !second.ok()) return "failed";
              return std::to_string(first->size()) + ", then " + std::to_string(second->size());
            }),
            "1, then 0");
}

TEST_F(InheritedSocketsTest, NoneWhereNoneAreMeant) {
  const auto listener = [] {
    std::vector<Fd> fds;
    fds.push_back(MustListen("127.0.0.1:0"));
    return fds;
  };
  EXPECT_EQ(Take({}, listener), "");
  EXPECT_EQ(Take({.pid = "PID", .fds = std::nullopt}, listener), "");
  EXPECT_EQ(Take({.pid = std::nullopt, .fds = "1"}, listener), "");
  // Another process's, also when the rest is wrong.
  EXPECT_EQ(Take({.pid = std::to_string(getpid()), .fds = "1"}, listener), "");
  EXPECT_EQ(Take({.pid = std::to_string(getpid()), .fds = "x"}, listener), "");
}

TEST_F(InheritedSocketsTest, MistakesInTheVariablesAreNamed) {
  for (const char* pid : {"", "x", "-1", "0", "1x", " 1", "99999999999"}) {
    EXPECT_EQ(Take({.pid = pid, .fds = "1"}),
              "environment LISTEN_PID: \"" + std::string(pid) + "\" is not a process id\n");
  }
  for (const char* fds :
       {"", "x", "-1", "0", "1x", "+1", "16385", "2147483648", "18446744073709551617"}) {
    EXPECT_EQ(Take({.pid = "PID", .fds = fds}), "environment LISTEN_FDS: \"" + std::string(fds) +
                                                    "\" is not a number from 1 to 16384\n");
  }
  EXPECT_EQ(Take({.pid = "PID", .fds = "2", .names = "a:b:c"}),
            "environment LISTEN_FDNAMES: \"a:b:c\" has 3 names, but LISTEN_FDS is 2\n");
  EXPECT_EQ(Take({.pid = "PID", .fds = "1", .names = "a\tb"}),
            "environment LISTEN_FDNAMES: \"a\tb\" has a name that is not printable ASCII of at "
            "most 255 bytes\n");
}

TEST_F(InheritedSocketsTest, DescriptorsThatAreNoListenersAreNamed) {
  const auto error = [](const std::function<Fd()>& second) {
    return Take({.pid = "PID", .fds = "2"}, [&] {
      std::vector<Fd> fds;
      fds.push_back(MustListen("127.0.0.1:0"));
      if (second) fds.push_back(second());
      return fds;
    });
  };
  const std::string head = "environment LISTEN_FDS: \"2\" names descriptor 4, which ";
  EXPECT_EQ(error({}), head + "is not open: EBADF (Bad file descriptor)\n");
  EXPECT_EQ(error([] { return Fd(open("/dev/null", O_RDWR)); }),
            head + "is no socket: ENOTSOCK (Socket operation on non-socket)\n");
  EXPECT_EQ(error([] { return Fd(socket(AF_INET, SOCK_DGRAM, 0)); }),
            head + "is no stream socket\n");
  EXPECT_EQ(error([] { return Fd(socket(AF_INET, SOCK_STREAM, 0)); }),
            head + "is a socket that does not listen\n");
}

TEST_F(InheritedSocketsTest, AnErrorLeavesTheDescriptorsAsTheyWere) {
  EXPECT_EQ(InChild([]() -> std::string {
              std::vector<Fd> fds;
              fds.push_back(MustListen("127.0.0.1:0"));
              Place(std::move(fds));
              SetVariables({.pid = std::to_string(getpid()), .fds = "2"});
              if (TakeInheritedSockets().ok()) return "taken";
              if (!IsOpen(kFirstInheritedDescriptor)) return "closed";
              if (fcntl(kFirstInheritedDescriptor, F_GETFD) != 0) return "close-on-exec";
              return AnyVariable() ? "a variable is left" : "as it was";
            }),
            "as it was");
}

TEST_F(InheritedSocketsTest, NamesHaveAForm) {
  for (const std::string& name :
       {std::string(), std::string("http"), std::string("a b"), std::string(255, 'x')}) {
    EXPECT_TRUE(IsInheritedSocketName(name)) << name;
  }
  for (const std::string& name : {std::string("a:b"), std::string("a\n"), std::string("\x7f"),
                                  std::string("\xc3\xa4"), std::string(256, 'x')}) {
    EXPECT_FALSE(IsInheritedSocketName(name)) << name;
  }
}

}  // namespace
}  // namespace quintet
