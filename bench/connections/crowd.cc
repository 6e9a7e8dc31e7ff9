// The clients of ./dev bench connections: does what standard input says, one command a line, and
// answers each with a line that holds a number.
//
//   open N        opens N connections, kAtOnce at a time, and has one request answered on each; how
//                 many are open
//   burst         sends a request on all of them, then reads the replies; how many came
//   ask SECONDS   one more connection, one request after another; how many were answered
//   churn SECONDS connects, asks once and closes, kAtOnce connections at a time; how many cycles
//   close         closes them all; 0
//
// usage: crowd PORT
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
constexpr std::string_view kReplyBegin = "HTTP/1.1 200 OK\r\n";
constexpr std::string_view kReplyEnd = "\r\n\r\nHello, World!";
constexpr size_t kAtOnce = 32;
// An address has some 28,000 ports for connections to one server, and a port that was closed first
// here cannot be used again for a minute.
constexpr uint32_t kSourceAddresses = 200;
constexpr timeval kPatience{.tv_sec = 20, .tv_usec = 0};

[[noreturn]] void Die(const char* step) {
  std::fprintf(stderr, "crowd: %s: %s\n", step, std::strerror(errno));
  std::exit(1);
}

class Crowd {
 public:
  explicit Crowd(uint16_t port) : port_(port) {}

  size_t Open(size_t count) {
    const size_t end = fds_.size() + count;
    while (fds_.size() < end) {
      const size_t first = fds_.size();
      while (fds_.size() < std::min(end, first + kAtOnce)) {
        fds_.push_back(Connect());
        Send(fds_.back());
      }
      for (size_t i = first; i < fds_.size(); ++i) Receive(fds_[i]);
    }
    return fds_.size();
  }

  size_t Burst() {
    for (const int fd : fds_) Send(fd);
    for (const int fd : fds_) Receive(fd);
    return fds_.size();
  }

  size_t Ask(double seconds) {
    const int fd = Connect();
    size_t count = 0;
    for (const auto end = In(seconds); Clock::now() < end; ++count) {
      Send(fd);
      Receive(fd);
    }
    ::close(fd);
    return count;
  }

  size_t Churn(double seconds) {
    int fds[kAtOnce];
    size_t count = 0;
    for (const auto end = In(seconds); Clock::now() < end; count += kAtOnce) {
      for (int& fd : fds) {
        fd = Connect();
        Send(fd);
      }
      for (const int fd : fds) {
        Receive(fd);
        ::close(fd);
      }
    }
    return count;
  }

  size_t Close() {
    for (const int fd : fds_) ::close(fd);
    fds_.clear();
    return 0;
  }

 private:
  static Clock::time_point In(double seconds) {
    return Clock::now() +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  int Connect() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) Die("socket");
    // The port is chosen by connect(2), which knows the other end: bind(2) alone would have one
    // port for all servers.
    const int on = 1;
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + next_source_);
    next_source_ = (next_source_ + 1) % kSourceAddresses;
    const auto* const name = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(fd, name, sizeof(address)) != 0) Die("bind");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    if (::connect(fd, name, sizeof(address)) != 0) Die("connect");
    return fd;
  }

  static void Send(int fd) {
    if (::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(kRequest.size())) {
      Die("send");
    }
  }

  static void Receive(int fd) {
    char buffer[1024];
    size_t size = 0;
    for (;;) {
      errno = 0;
      const ssize_t received = ::recv(fd, buffer + size, sizeof(buffer) - size, 0);
      if (received <= 0) Die("no reply");
      size += static_cast<size_t>(received);
      const std::string_view reply(buffer, size);
      if (!reply.starts_with(kReplyBegin.substr(0, size))) Die("a wrong reply");
      if (reply.ends_with(kReplyEnd)) return;
      if (size == sizeof(buffer)) Die("a wrong reply");
    }
  }

  const uint16_t port_;
  uint32_t next_source_ = 0;
  std::vector<int> fds_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
    return 2;
  }
  Crowd crowd(static_cast<uint16_t>(std::atoi(argv[1])));
  std::string command;
  double argument = 0;
  while (std::cin >> command) {
    size_t answer = 0;
    if (command == "open" && std::cin >> argument) {
      answer = crowd.Open(static_cast<size_t>(argument));
    } else if (command == "burst") {
      answer = crowd.Burst();
    } else if (command == "ask" && std::cin >> argument) {
      answer = crowd.Ask(argument);
    } else if (command == "churn" && std::cin >> argument) {
      answer = crowd.Churn(argument);
    } else if (command == "close") {
      answer = crowd.Close();
    } else {
      std::fprintf(stderr, "crowd: what is %s?\n", command.c_str());
      return 2;
    }
    std::cout << answer << std::endl;
  }
}
