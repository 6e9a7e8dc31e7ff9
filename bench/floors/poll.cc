// The floor of poll(2): recv, send, and a share of the wait.
#include <poll.h>

#include <vector>

#include "bench/floors/floor.h"

namespace quintet::floors {
namespace {

void Run(int listener) {
  std::vector<pollfd> watched = {{listener, POLLIN, 0}};
  for (;;) {
    int left = ::poll(watched.data(), watched.size(), -1);
    if (left < 0) {
      DieUnlessInterrupted("poll");
      continue;
    }
    const bool new_connections = watched[0].revents != 0;
    if (new_connections) --left;
    for (size_t i = 1; left > 0; ++i) {
      if (watched[i].revents == 0) continue;
      --left;
      if (Serve(watched[i].fd) != Outcome::kEnded) continue;
      Close(watched[i].fd);
      watched[i] = watched.back();
      watched.pop_back();
      --i;  // the one moved here has its turn next
    }
    if (!new_connections) continue;
    for (int fd = Accept(listener); fd >= 0; fd = Accept(listener)) {
      watched.push_back({fd, POLLIN, 0});
    }
  }
}

}  // namespace
}  // namespace quintet::floors

int main(int argc, char** argv) {
  quintet::floors::Run(quintet::floors::Listen(argc, argv, "poll"));
}
