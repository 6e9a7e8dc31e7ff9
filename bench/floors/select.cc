// The floor of select(2): recv, send, and a share of the wait.
#include <sys/select.h>

#include <algorithm>
#include <bit>

#include "bench/floors/floor.h"

namespace quintet::floors {
namespace {

constexpr int kWordBits = 8 * sizeof(fd_mask);

void Run(int listener) {
  fd_set watched;
  FD_ZERO(&watched);
  FD_SET(listener, &watched);
  int end = listener + 1;
  for (;;) {
    fd_set ready = watched;
    if (::select(end, &ready, nullptr, nullptr, nullptr) < 0) {
      DieUnlessInterrupted("select");
      continue;
    }
    for (int base = 0; base < end; base += kWordBits) {
      // Word by word: most bits of a large set are clear.
      auto word = static_cast<unsigned long>(ready.fds_bits[base / kWordBits]);
      for (; word != 0; word &= word - 1) {
        const int fd = base + std::countr_zero(word);
        if (fd != listener) {
          if (Serve(fd) != Outcome::kEnded) continue;
          FD_CLR(fd, &watched);
          Close(fd);
          continue;
        }
        for (int accepted = Accept(listener); accepted >= 0; accepted = Accept(listener)) {
          if (accepted >= FD_SETSIZE) {
            ::close(accepted);
            continue;
          }
          FD_SET(accepted, &watched);
          end = std::max(end, accepted + 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace quintet::floors

int main(int argc, char** argv) {
  quintet::floors::Run(quintet::floors::Listen(argc, argv, "select"));
}
