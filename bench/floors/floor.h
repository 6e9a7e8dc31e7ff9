// What the floors share. A floor is the least code that answers the hello request on one way of
// asking the kernel: it counts the ends of request heads and sends as many fixed replies, as long
// to the byte as those of the hello server. No parsing, no limits, no deadlines, no output queue.
// What a server costs above the floor of its backend is what its author could have saved.
#ifndef QUINTET_BENCH_FLOORS_FLOOR_H_
#define QUINTET_BENCH_FLOORS_FLOOR_H_

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace quintet::floors {

// The fields of the hello server's reply, in its order; its Date is as long.
inline constexpr std::string_view kReply =
    "HTTP/1.1 200 OK\r\n"
    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 13\r\n"
    "\r\n"
    "Hello, World!";

// More requests than that in one read are answered by several sends.
inline constexpr size_t kMaxReplies = 64;
// Descriptors at or above this are refused.
inline constexpr int kMaxDescriptors = 1 << 20;
inline constexpr size_t kReceiveBytes = size_t{64} << 10;
inline constexpr int kBacklog = 1024;

// kMaxReplies replies, one behind the other.
inline const char* Replies() {
  static const auto replies = [] {
    std::array<char, kMaxReplies * kReply.size()> text;
    for (size_t i = 0; i < kMaxReplies; ++i) {
      std::memcpy(text.data() + i * kReply.size(), kReply.data(), kReply.size());
    }
    return text;
  }();
  return replies.data();
}

// Counts request heads as they end, also those that end in a later piece than they began in.
class HeadCounter {
 public:
  size_t Count(const char* data, size_t bytes) {
    if (matched_ != 0 || bytes < kEnd.size() || !EndsAt(data + bytes)) return Slow(data, bytes);
    // The usual case, whole heads: looks at every fourth byte, as Boyer and Moore do.
    size_t count = 0;
    for (size_t i = kEnd.size() - 1; i < bytes;) {
      if (data[i] > '\r') {
        i += kEnd.size();
      } else if (EndsAt(data + i + 1)) {
        ++count;
        i += kEnd.size();
      } else {
        ++i;
      }
    }
    return count;
  }

  void Reset() { matched_ = 0; }

 private:
  static constexpr std::string_view kEnd = "\r\n\r\n";

  static bool EndsAt(const char* end) {
    return std::memcmp(end - kEnd.size(), kEnd.data(), kEnd.size()) == 0;
  }

  size_t Slow(const char* data, size_t bytes) {
    size_t count = 0;
    for (size_t i = 0; i < bytes; ++i) {
      if (data[i] == kEnd[matched_]) {
        ++matched_;
      } else {
        matched_ = data[i] == '\r' ? 1 : 0;
      }
      if (matched_ == kEnd.size()) {
        ++count;
        matched_ = 0;
      }
    }
    return count;
  }

  uint8_t matched_ = 0;  // characters of kEnd seen last
};

// By descriptor. Pages that no descriptor uses are never touched.
inline std::array<HeadCounter, kMaxDescriptors> head_counters;

[[noreturn]] inline void Die(const char* step, int error = errno) {
  std::fprintf(stderr, "floor: %s: %s\n", step, strerror(error));
  std::exit(1);
}

// A tracer that attaches or detaches interrupts a wait.
inline void DieUnlessInterrupted(const char* step) {
  if (errno != EINTR) Die(step);
}

// Listens on 127.0.0.1 at the port that is the only argument, 0 for any, and says so.
inline int Listen(int argc, char** argv, const char* backend) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
    std::exit(2);
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("socket");
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // accepted sockets inherit it
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) Die("bind");
  if (::listen(fd, kBacklog) != 0) Die("listen");
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  std::fprintf(stderr, "floor: listening on 127.0.0.1:%d; backend %s\n", ntohs(address.sin_port),
               backend);
  return fd;
}

// The next connection, or -1 when there is none.
inline int Accept(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < kMaxDescriptors) return fd;
  ::close(fd);
  return -1;
}

// Sends that many replies. A peer that does not read them gets no queue: false.
inline bool Reply(int fd, size_t count) {
  while (count > 0) {
    const size_t now = count < kMaxReplies ? count : kMaxReplies;
    const size_t bytes = now * kReply.size();
    if (::send(fd, Replies(), bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) return false;
    count -= now;
  }
  return true;
}

enum class Outcome {
  kDrained,  // nothing more to read for now
  kFull,     // the buffer was filled: there may be more
  kEnded,    // end of file, or an error
};

// One read of a ready connection, and its replies.
inline Outcome Serve(int fd) {
  alignas(64) static std::array<char, kReceiveBytes> buffer;
  const ssize_t received = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (received <= 0) {
    return received < 0 && errno == EAGAIN ? Outcome::kDrained : Outcome::kEnded;
  }
  const auto bytes = static_cast<size_t>(received);
  if (!Reply(fd, head_counters[static_cast<size_t>(fd)].Count(buffer.data(), bytes))) {
    return Outcome::kEnded;
  }
  return bytes == buffer.size() ? Outcome::kFull : Outcome::kDrained;
}

inline void Close(int fd) {
  head_counters[static_cast<size_t>(fd)].Reset();
  ::close(fd);
}

}  // namespace quintet::floors

#endif  // QUINTET_BENCH_FLOORS_FLOOR_H_
