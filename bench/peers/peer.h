// What the hello servers on other libraries share: the command line, and a Date that is formatted
// once a second, where the library does not send one by itself.
#ifndef QUINTET_BENCH_PEERS_PEER_H_
#define QUINTET_BENCH_PEERS_PEER_H_

#include <signal.h>
#include <time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace quintet::peers {

inline constexpr std::string_view kBody = "Hello, World!";
inline constexpr int kBacklog = 1024;
inline constexpr unsigned kMaxConnections = 4096;

// The port, which is the only argument; --version prints the library's and ends the program.
inline uint16_t PortArgument(int argc, char** argv, const char* version) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::puts(version);
    std::exit(0);
  }
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
    std::exit(2);
  }
  return static_cast<uint16_t>(std::atoi(argv[1]));
}

// For libraries that write to connections which a client may have closed.
inline void IgnoreBrokenPipes() { ::signal(SIGPIPE, SIG_IGN); }

[[noreturn]] inline void Die(const char* what) {
  std::fprintf(stderr, "peer: %s\n", what);
  std::exit(1);
}

// "Sun, 06 Nov 1994 08:49:37 GMT" of now.
class DateText {
 public:
  std::string_view Get() {
    timespec now;
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != second_) {
      second_ = now.tv_sec;
      tm parts;
      ::gmtime_r(&second_, &parts);
      length_ = ::strftime(text_.data(), text_.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    }
    return {text_.data(), length_};
  }

 private:
  time_t second_ = -1;
  size_t length_ = 0;
  std::array<char, 64> text_;
};

}  // namespace quintet::peers

#endif  // QUINTET_BENCH_PEERS_PEER_H_
