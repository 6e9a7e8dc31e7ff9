#include "net/socket_handover.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "net/inherited_sockets.h"
#include "net/listener.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"

namespace quintet {
namespace {

using testing::Fd;
using ::testing::HasSubstr;
using testing::HighPipe;
using testing::InChild;

class SocketHandoverTest : public testing::DescriptorLeakTest {};

std::string Name(int place) {
  return "quintet_handover_" + std::to_string(getpid()) + "_" + std::to_string(place);
}

// Abstract sockets that listen, one at each of these numbers, named after it.
void ListenAt(const std::vector<int>& places) {
  constexpr int kOutOfTheWay = 100;
  std::vector<Fd> high;
  for (const int place : places) {
    const absl::StatusOr<Socket> socket = ListenOn(*Address::Parse("unix:@" + Name(place)), {});
    high.emplace_back(socket.ok() ? fcntl(socket->fd(), F_DUPFD_CLOEXEC, kOutOfTheWay) : -1);
  }
  for (size_t i = 0; i < places.size(); ++i) dup3(high[i].get(), places[i], O_CLOEXEC);
}

// Makes the environment that was prepared for a program the one of this process.
void Adopt(const SocketHandover& handover) {
  clearenv();
  for (char* const* entry = handover.environment(); *entry != nullptr; ++entry) putenv(*entry);
}

// Listens at `places`, hands over `order`, and says where those sockets arrived.
std::string HandOver(const std::vector<int>& places, const std::vector<int>& order) {
  return InChild([&]() -> std::string {
    ListenAt(places);
    absl::StatusOr<SocketHandover> handover = SocketHandover::Create(order, {}, {});
    if (!handover.ok()) return handover.status().ToString();
    if (const int error = handover->Place(); error != 0) return strerror(-error);
    for (int fd = kFirstInheritedDescriptor; fd < handover->end(); ++fd) {
      if (fcntl(fd, F_GETFD) != 0) return "not open across exec";
    }
    Adopt(*handover);
    const absl::StatusOr<std::vector<InheritedSocket>> taken = TakeInheritedSockets();
    if (!taken.ok()) return taken.status().ToString();
    std::string text;
    for (const InheritedSocket& inherited : *taken) {
      const std::string address = inherited.address.ToString();
      text += address.substr(address.rfind('_') + 1) + " ";
    }
    return text;
  });
}

TEST_F(SocketHandoverTest, KeepsTheOrderHoweverSourcesAndPlacesOverlap) {
  std::vector<int> order = {3, 4, 5, 6};
  do {
    std::string expected;
    for (const int place : order) expected += std::to_string(place) + " ";
    EXPECT_EQ(HandOver({3, 4, 5, 6}, order), expected);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(HandOver({4, 5, 9}, {9, 4, 5}), "9 4 5 ");
  EXPECT_EQ(HandOver({50, 3, 60}, {60, 50, 3}), "60 50 3 ");
  EXPECT_EQ(HandOver({7}, {7}), "7 ");
  // One socket in two places, for what it is worth.
  EXPECT_EQ(HandOver({3, 4}, {4, 4}), "4 4 ");
}

TEST_F(SocketHandoverTest, WithoutSocketsNothingIsSet) {
  const std::vector<std::string> environment = {"LISTEN_PID=1", "A=b", "LISTEN_FDS=2",
                                                "LISTEN_FDNAMES=x:y"};
  absl::StatusOr<SocketHandover> handover = SocketHandover::Create({}, {}, environment);
  ASSERT_TRUE(handover.ok()) << handover.status();
  EXPECT_EQ(handover->Place(), 0);
  EXPECT_EQ(handover->end(), 3);
  ASSERT_NE(handover->environment()[0], nullptr);
  EXPECT_STREQ(handover->environment()[0], "A=b");
  EXPECT_EQ(handover->environment()[1], nullptr);
}

TEST_F(SocketHandoverTest, TheProgramFindsItsVariables) {
  const HighPipe output;
  EXPECT_EQ(InChild([&]() -> std::string {
              ListenAt({4, 3});
              const std::vector<int> descriptors = {4, 3};
              const std::vector<std::string> names = {"http", "admin"};
              const std::vector<std::string> environment = {
                  "PATH=/usr/bin:/bin", "A=b", "LISTEN_PID=1", "LISTEN_FDS=7", "LISTEN_FDNAMES=z"};
              absl::StatusOr<SocketHandover> created =
                  SocketHandover::Create(descriptors, names, environment);
              if (!created.ok()) return created.status().ToString();
              // What points into it moves along.
              SocketHandover handover = *std::move(created);
              // Free for what has to make room.
              close(5);
              close(6);
              if (handover.Place() != 0) return "not placed";
              dup2(output.write.get(), STDOUT_FILENO);
              std::string script =
                  "test $LISTEN_PID = $$ && echo $LISTEN_FDS $LISTEN_FDNAMES $A; "
                  "test -S /proc/$$/fd/3 && test -S /proc/$$/fd/4 && echo both; "
                  "test -e /proc/$$/fd/5 || test -e /proc/$$/fd/6 || echo no more";
              std::string shell = "/bin/sh";
              std::string option = "-c";
              char* const arguments[] = {shell.data(), option.data(), script.data(), nullptr};
              execve(shell.c_str(), arguments, handover.environment());
              return "not executed";
            }),
            "");
  EXPECT_EQ(output.ReadLine(), "2 http:admin b");
  EXPECT_EQ(output.ReadLine(), "both");
  EXPECT_EQ(output.ReadLine(), "no more");
}

TEST_F(SocketHandoverTest, DescriptorsFromItsEndOnStay) {
  EXPECT_EQ(InChild([]() -> std::string {
              ListenAt({3, 4});
              const std::vector<int> descriptors = {4, 3};
              absl::StatusOr<SocketHandover> handover = SocketHandover::Create(descriptors, {}, {});
              if (!handover.ok() || handover->end() != 5) return "another end";
              dup3(STDERR_FILENO, handover->end(), O_CLOEXEC);
              if (handover->Place() != 0) return "not placed";
              return fcntl(5, F_GETFD) == FD_CLOEXEC ? "as it was" : "changed";
            }),
            "as it was");
}

TEST_F(SocketHandoverTest, ErrorsOfTheChildAreErrnos) {
  EXPECT_EQ(InChild([]() -> std::string {
              ListenAt({3, 4});
              const std::vector<int> descriptors = {4, 3};
              absl::StatusOr<SocketHandover> handover = SocketHandover::Create(descriptors, {}, {});
              close(5);
              const rlimit no_room{.rlim_cur = 6, .rlim_max = 6};
              setrlimit(RLIMIT_NOFILE, &no_room);
              return std::to_string(handover->Place());
            }),
            std::to_string(-EMFILE));
  EXPECT_EQ(InChild([]() -> std::string {
              const std::vector<int> descriptors = {77};
              absl::StatusOr<SocketHandover> handover = SocketHandover::Create(descriptors, {}, {});
              return std::to_string(handover->Place());
            }),
            std::to_string(-EBADF));
}

TEST_F(SocketHandoverTest, MistakesAreNamed) {
  const std::vector<int> descriptors = {3, 4};
  const auto error = [&](const std::vector<std::string>& names) {
    const absl::Status status = SocketHandover::Create(descriptors, names, {}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_EQ(error({"a"}), "handing over 2 sockets with 1 names");
  EXPECT_EQ(error({"a", "b:c"}), "handing over a socket: the name \"b:c\" is not allowed");
  const std::vector<int> many(static_cast<size_t>(kMaxInheritedSockets) + 1, 3);
  EXPECT_THAT(std::string(SocketHandover::Create(many, {}, {}).status().message()),
              HasSubstr("handing over 16385 sockets, more than 16384"));
}

}  // namespace
}  // namespace quintet
