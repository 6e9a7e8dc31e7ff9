#include "tests/support/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <vector>

namespace quintet::testing {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* Generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

SocketPair MakeUnixPair() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0) << errno;
  SocketPair pair{Fd(fds[0]), Fd(fds[1])};
  SetNonBlocking(pair.ours.get());
  SetTimeouts(pair.peer.get(), kPeerTimeout);
  return pair;
}

SocketPair MakeTcpPair() {
  TestListener listener = MakeListener(1);
  SocketPair pair;
  pair.peer = ConnectTo(listener.address);
  pair.ours = Fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_TRUE(pair.ours) << errno;
  return pair;
}

TestListener MakeListener(int backlog) {
  TestListener listener{Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
                        Loopback(0)};
  const int fd = listener.fd.get();
  EXPECT_EQ(::bind(fd, Generic(listener.address), sizeof(listener.address)), 0) << errno;
  EXPECT_EQ(::listen(fd, backlog), 0) << errno;
  socklen_t length = sizeof(listener.address);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&listener.address), &length), 0);
  return listener;
}

bool Connect(int fd, const sockaddr* address, socklen_t length) {
  if (::connect(fd, address, length) == 0) return true;
  if (errno != EINTR) return false;
  // It goes on in the background (connect(2)). Calls on sockets with a timeout are not restarted
  // (signal(7)), and a thread that once made a ring is interrupted when the kernel frees the ring.
  pollfd connected{fd, POLLOUT, 0};
  const int timeout_ms = static_cast<int>(std::chrono::milliseconds(kPeerTimeout).count());
  while (::poll(&connected, 1, timeout_ms) < 0 && errno == EINTR) {
  }
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0;
}

Fd ConnectTo(const sockaddr_in& address) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SetTimeouts(fd.get(), kPeerTimeout);
  if (!Connect(fd.get(), Generic(address), sizeof(address))) fd.Reset();
  return fd;
}

Fd MakeTcpSocket() { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

sockaddr_in RefusingAddress() {
  // Bound and closed: the number was free a moment ago and is not given out again so soon.
  return MakeListener().address;
}

void SetTimeouts(int fd, std::chrono::milliseconds timeout) {
  const timeval tv{.tv_sec = static_cast<time_t>(timeout.count() / 1000),
                   .tv_usec = static_cast<suseconds_t>(timeout.count() % 1000 * 1000)};
  EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
  EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
}

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string ReceiveExactly(int fd, size_t count) {
  std::string bytes(count, '\0');
  size_t have = 0;
  while (have < count) {
    const ssize_t received = ::recv(fd, bytes.data() + have, count - have, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) break;
    have += static_cast<size_t>(received);
  }
  bytes.resize(have);
  return bytes;
}

std::string ReceiveToEnd(int fd, int* error) {
  std::string bytes;
  std::vector<char> chunk(64 << 10);
  for (;;) {
    const ssize_t received = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (error != nullptr) *error = received < 0 ? errno : 0;
    if (received <= 0) return bytes;
    bytes.append(chunk.data(), static_cast<size_t>(received));
  }
}

size_t FillSocket(int fd) {
  const std::string chunk(16 << 10, 'f');
  size_t total = 0;
  // One byte at last: a socket may refuse a large piece and still have room.
  for (const size_t size : {chunk.size(), size_t{1}}) {
    for (;;) {
      const ssize_t sent = ::send(fd, chunk.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent <= 0) break;
      total += static_cast<size_t>(sent);
    }
  }
  return total;
}

void Reset(Fd& fd) {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
  fd.Reset();
}

std::string PatternBytes(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  std::minstd_rand random(seed);
  for (char& byte : bytes) byte = static_cast<char>(random() >> 8);
  return bytes;
}

}  // namespace quintet::testing
