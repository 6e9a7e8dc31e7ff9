// The floor of level-triggered epoll(7): recv, send, and a share of the wait.
#include <sys/epoll.h>

#include <array>

#include "bench/floors/floor.h"

namespace quintet::floors {
namespace {

constexpr int kEventsPerWait = 512;

void Add(int epoll, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
}

void Run(int listener) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) Die("epoll_create1");
  Add(epoll, listener, EPOLLIN);
  std::array<epoll_event, kEventsPerWait> events;
  for (;;) {
    const int count = ::epoll_wait(epoll, events.data(), kEventsPerWait, -1);
    if (count < 0) DieUnlessInterrupted("epoll_wait");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd == listener) {
        for (int fd = Accept(listener); fd >= 0; fd = Accept(listener)) {
          Add(epoll, fd, EPOLLIN);
        }
        continue;
      }
      if (Serve(event.data.fd) == Outcome::kEnded) Close(event.data.fd);
    }
  }
}

}  // namespace
}  // namespace quintet::floors

int main(int argc, char** argv) {
  quintet::floors::Run(quintet::floors::Listen(argc, argv, "epoll_lt"));
}
