#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "tests/support/descriptors.h"
#include "tests/support/scratch_directory.h"

namespace quintet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::IsOpen;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

Address MustParse(std::string_view text) {
  absl::StatusOr<Address> address = Address::Parse(text);
  EXPECT_TRUE(address.ok()) << text << ": " << address.status();
  return *address;
}

Socket MustCreate(const Address& address) {
  absl::StatusOr<Socket> socket = Socket::CreateStream(address);
  EXPECT_TRUE(socket.ok()) << socket.status();
  return *std::move(socket);
}

bool HaveIpv6() {
  absl::StatusOr<Socket> socket = Socket::CreateStream(MustParse("[::1]:0"));
  return socket.ok() && socket->Bind(MustParse("[::1]:0")).ok();
}

int GetOption(const Socket& socket, int level, int option) {
  int value = -1;
  socklen_t length = sizeof(value);
  EXPECT_EQ(getsockopt(socket.fd(), level, option, &value, &length), 0) << strerror(errno);
  return value;
}

// Every test leaves as many descriptors as it found.
class SocketTest : public testing::DescriptorLeakTest {};

TEST_F(SocketTest, OwnsItsDescriptor) {
  int fd = -1;
  {
    Socket socket = MustCreate(MustParse("127.0.0.1:0"));
    fd = socket.fd();
    EXPECT_TRUE(socket.valid());
    EXPECT_TRUE(IsOpen(fd));
  }
  EXPECT_FALSE(IsOpen(fd));
  EXPECT_FALSE(Socket().valid());
  EXPECT_EQ(Socket().fd(), -1);
}

TEST_F(SocketTest, MovesItsDescriptor) {
  Socket a = MustCreate(MustParse("127.0.0.1:0"));
  const int fd = a.fd();
  Socket b(std::move(a));
  EXPECT_EQ(b.fd(), fd);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): empty is promised
  EXPECT_FALSE(a.valid());

  Socket c = MustCreate(MustParse("127.0.0.1:0"));
  const int closed = c.fd();
  c = std::move(b);
  EXPECT_EQ(c.fd(), fd);
  EXPECT_TRUE(IsOpen(fd));
  EXPECT_FALSE(IsOpen(closed));

  Socket& self = c;
  c = std::move(self);
  EXPECT_EQ(c.fd(), fd);
  EXPECT_TRUE(IsOpen(fd));
}

TEST_F(SocketTest, ReleaseGivesItAway) {
  Socket socket = MustCreate(MustParse("127.0.0.1:0"));
  const int fd = socket.Release();
  EXPECT_FALSE(socket.valid());
  EXPECT_TRUE(IsOpen(fd));
  EXPECT_EQ(close(fd), 0);
}

TEST_F(SocketTest, ResetClosesAndKeepsErrno) {
  Socket socket = MustCreate(MustParse("127.0.0.1:0"));
  const int fd = socket.fd();
  const int other = dup(fd);
  socket.Reset(other);
  EXPECT_FALSE(IsOpen(fd));
  EXPECT_EQ(socket.fd(), other);
  // Closed behind its back, so that close(2) fails.
  close(other);
  errno = ENOENT;
  socket.Reset();
  EXPECT_EQ(errno, ENOENT);
  EXPECT_FALSE(socket.valid());
}

TEST_F(SocketTest, StreamsAreNonBlockingAndCloseOnExec) {
  for (const char* text : {"127.0.0.1:0", "unix:/x"}) {
    const Socket socket = MustCreate(MustParse(text));
    EXPECT_TRUE(fcntl(socket.fd(), F_GETFL) & O_NONBLOCK) << text;
    EXPECT_TRUE(fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC) << text;
    EXPECT_EQ(GetOption(socket, SOL_SOCKET, SO_TYPE), SOCK_STREAM) << text;
    EXPECT_EQ(GetOption(socket, SOL_SOCKET, SO_DOMAIN), MustParse(text).family()) << text;
  }
}

TEST_F(SocketTest, SetsOptionsOnAndOff) {
  Socket socket = MustCreate(MustParse("127.0.0.1:0"));
  for (const bool on : {true, false}) {
    EXPECT_TRUE(socket.SetReuseAddress(on).ok());
    EXPECT_EQ(GetOption(socket, SOL_SOCKET, SO_REUSEADDR) != 0, on);
    EXPECT_TRUE(socket.SetReusePort(on).ok());
    EXPECT_EQ(GetOption(socket, SOL_SOCKET, SO_REUSEPORT) != 0, on);
    EXPECT_TRUE(socket.SetNoDelay(on).ok());
    EXPECT_EQ(GetOption(socket, IPPROTO_TCP, TCP_NODELAY) != 0, on);
  }
}

TEST_F(SocketTest, OptionErrorsNameOptionAddressAndErrno) {
  Socket socket = MustCreate(MustParse("127.0.0.1:0"));
  const absl::Status status = socket.SetV6Only(true);
  EXPECT_EQ(Message(status), "set IPV6_V6ONLY 0.0.0.0:0: ENOPROTOOPT (Protocol not available)");
}

TEST_F(SocketTest, AcceptedSocketsInheritNoDelay) {
  Socket listener = MustCreate(MustParse("127.0.0.1:0"));
  ASSERT_TRUE(listener.SetNoDelay(true).ok());
  ASSERT_TRUE(listener.Bind(MustParse("127.0.0.1:0")).ok());
  ASSERT_TRUE(listener.Listen(1).ok());
  const absl::StatusOr<Address> address = listener.LocalAddress();
  ASSERT_TRUE(address.ok());
  const Socket client(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(connect(client.fd(), address->data(), address->size()), 0);
  const Socket accepted(accept(listener.fd(), nullptr, nullptr));
  EXPECT_NE(GetOption(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST_F(SocketTest, TellsBothAddresses) {
  Socket listener = MustCreate(MustParse("127.0.0.1:0"));
  ASSERT_TRUE(listener.Bind(MustParse("127.0.0.1:0")).ok());
  ASSERT_TRUE(listener.Listen(1).ok());
  const absl::StatusOr<Address> address = listener.LocalAddress();
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_NE(address->port(), 0);
  EXPECT_TRUE(*address == MustParse("127.0.0.1:0").WithPort(address->port()));

  const Socket client(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(connect(client.fd(), address->data(), address->size()), 0);
  const absl::StatusOr<Address> peer = client.PeerAddress();
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_TRUE(*peer == *address);

  const absl::Status unconnected = listener.PeerAddress().status();
  EXPECT_THAT(Message(unconnected),
              AllOf(HasSubstr("getpeername of descriptor "), HasSubstr(": ENOTCONN (")));
}

TEST_F(SocketTest, AddressInUseIsAlreadyExistsAndSaysWhich) {
  Socket first = MustCreate(MustParse("127.0.0.1:0"));
  ASSERT_TRUE(first.Bind(MustParse("127.0.0.1:0")).ok());
  ASSERT_TRUE(first.Listen(1).ok());
  const Address address = *first.LocalAddress();
  Socket second = MustCreate(address);
  const absl::Status status = second.Bind(address);
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_EQ(Message(status),
            "bind " + address.ToString() + ": EADDRINUSE (Address already in use)");
  // Unless both ask to share the port: shards do.
  Socket third = MustCreate(address);
  ASSERT_TRUE(third.SetReusePort(true).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(third.Bind(address)));
  Socket shared = MustCreate(MustParse("127.0.0.1:0"));
  ASSERT_TRUE(shared.SetReusePort(true).ok());
  ASSERT_TRUE(shared.Bind(MustParse("127.0.0.1:0")).ok());
  Socket other = MustCreate(address);
  ASSERT_TRUE(other.SetReusePort(true).ok());
  EXPECT_TRUE(other.Bind(*shared.LocalAddress()).ok());
}

TEST_F(SocketTest, AnAddressOfAnotherMachineIsInvalidArgument) {
  Socket socket = MustCreate(MustParse("192.0.2.1:0"));
  const absl::Status status = socket.Bind(MustParse("192.0.2.1:0"));
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("bind 192.0.2.1:0: EADDRNOTAVAIL ("));
}

TEST_F(SocketTest, ListenErrorsSayWhere) {
  Socket socket = MustCreate(MustParse("unix:/x"));
  const absl::Status status = socket.Listen(1);
  EXPECT_THAT(Message(status), HasSubstr("listen unix:: EINVAL ("));
  const absl::Status closed = Socket().Listen(1);
  EXPECT_THAT(Message(closed), HasSubstr("listen descriptor -1: EBADF ("));
}

TEST_F(SocketTest, DescriptorExhaustionIsResourceExhausted) {
  rlimit saved{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &saved), 0);
  rlimit none = saved;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status status = Socket::CreateStream(MustParse("127.0.0.1:80")).status();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &saved), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(Message(status), "socket for 127.0.0.1:80: EMFILE (Too many open files)");
}

TEST_F(SocketTest, BindsUnixPathsAndAbstractNames) {
  const testing::ScratchDirectory directory;
  const std::string path = directory / "s";
  {
    Socket first = MustCreate(MustParse("unix:" + path));
    ASSERT_TRUE(first.Bind(MustParse("unix:" + path)).ok());
    EXPECT_TRUE(*first.LocalAddress() == MustParse("unix:" + path));
    // The file outlives the socket; removing it is the binder's business.
    Socket second = MustCreate(MustParse("unix:" + path));
    EXPECT_TRUE(absl::IsAlreadyExists(second.Bind(MustParse("unix:" + path))));
    const absl::Status missing = second.Bind(MustParse("unix:" + path + "/no/such"));
    EXPECT_THAT(Message(missing), HasSubstr("bind unix:" + path + "/no/such: ENOTDIR ("));
  }

  const Address abstract = MustParse("unix:@quintet_socket_test_" + std::to_string(getpid()));
  Socket listener = MustCreate(abstract);
  ASSERT_TRUE(listener.Bind(abstract).ok());
  ASSERT_TRUE(listener.Listen(1).ok());
  EXPECT_TRUE(*listener.LocalAddress() == abstract);
  const Socket client(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(connect(client.fd(), abstract.data(), abstract.size()), 0);
  // A client that never bound has no name, which is an address too.
  const Socket accepted(accept(listener.fd(), nullptr, nullptr));
  const absl::StatusOr<Address> peer = accepted.PeerAddress();
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->ToString(), "unix:");
}

TEST_F(SocketTest, V6OnlyLeavesThePortOfIpv4Free) {
  if (!HaveIpv6()) GTEST_SKIP() << "no IPv6 here";
  // Dual-stack: the wildcard of IPv6 takes IPv4 connections too, so the port is taken.
  Socket dual = MustCreate(MustParse("[::]:0"));
  ASSERT_TRUE(dual.SetV6Only(false).ok());
  ASSERT_TRUE(dual.Bind(MustParse("[::]:0")).ok());
  const Address dual_v4 = MustParse("127.0.0.1:0").WithPort(dual.LocalAddress()->port());
  EXPECT_TRUE(absl::IsAlreadyExists(MustCreate(dual_v4).Bind(dual_v4)));

  // Another program may hold the port that the kernel chose, but not each time.
  absl::Status free;
  for (int attempt = 0; attempt < 20; ++attempt) {
    Socket v6 = MustCreate(MustParse("[::]:0"));
    ASSERT_TRUE(v6.SetV6Only(true).ok());
    ASSERT_TRUE(v6.Bind(MustParse("[::]:0")).ok());
    const Address v4 = MustParse("127.0.0.1:0").WithPort(v6.LocalAddress()->port());
    free = MustCreate(v4).Bind(v4);
    if (free.ok()) break;
  }
  EXPECT_TRUE(free.ok()) << free;
}

}  // namespace
}  // namespace quintet
