// The other end of a test's sockets: plain, blocking, with timeouts, never leaving the machine.
#ifndef QUINTET_TESTS_SUPPORT_PEERS_H_
#define QUINTET_TESTS_SUPPORT_PEERS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/descriptors.h"

namespace quintet::testing {

// How long a blocking call of a peer may take before it counts as failed.
inline constexpr std::chrono::seconds kPeerTimeout{20};

// Two connected stream sockets: `ours` non-blocking, for a backend; `peer` blocking with timeouts.
struct SocketPair {
  Fd ours;
  Fd peer;
};
SocketPair MakeUnixPair();
// TCP over 127.0.0.1.
SocketPair MakeTcpPair();

// A non-blocking listening TCP socket on a free port of 127.0.0.1.
struct TestListener {
  Fd fd;
  sockaddr_in address;

  uint16_t port() const { return ntohs(address.sin_port); }
};
TestListener MakeListener(int backlog = 1024);

// connect(2) on a blocking socket, also when it is interrupted. False with errno set.
bool Connect(int fd, const sockaddr* address, socklen_t length);
// A blocking client with timeouts, connected to `address`; no descriptor where that failed.
Fd ConnectTo(const sockaddr_in& address);
// A TCP socket on which nothing was done yet, non-blocking.
Fd MakeTcpSocket();
// A port of 127.0.0.1 on which nobody listens.
sockaddr_in RefusingAddress();

void SetTimeouts(int fd, std::chrono::milliseconds timeout);

// False on any error; errors of the socket do not fail the test by themselves, and raise no signal.
bool SendAll(int fd, std::string_view bytes);
// Up to `count` bytes: fewer only at end of file, error or timeout.
std::string ReceiveExactly(int fd, size_t count);
// Everything up to the end of file; `*error` is 0 then, or the errno that ended it.
std::string ReceiveToEnd(int fd, int* error = nullptr);
// Sends bytes until the socket takes no more, without blocking; returns how many it took.
size_t FillSocket(int fd);
// Closes with SO_LINGER 0: the other end sees a reset.
void Reset(Fd& fd);

// `size` bytes that differ from place to place and from seed to seed.
std::string PatternBytes(size_t size, uint32_t seed = 1);

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_PEERS_H_
