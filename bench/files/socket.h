// What the load generators of ./dev bench files share.
#ifndef QUINTET_BENCH_FILES_SOCKET_H_
#define QUINTET_BENCH_FILES_SOCKET_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include <cstdint>
#include <string_view>

#include "bench/harness/load.h"

namespace quintet::bench {

// A blocking connection to 127.0.0.1, of the process for its whole life.
inline int ConnectTo(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  if (fd < 0 || ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    DieErrno("connect");
  }
  return fd;
}

// On a blocking socket.
inline void SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) DieErrno("send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

inline double CpuSeconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace quintet::bench

#endif  // QUINTET_BENCH_FILES_SOCKET_H_
