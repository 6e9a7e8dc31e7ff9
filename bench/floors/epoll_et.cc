// The floor of edge-triggered epoll(7): recv, send, and a share of the wait. A read that was
// shorter than its buffer has emptied the socket (epoll(7), question 9), so no read is made for an
// EAGAIN. Only a hang-up that is announced together with the last bytes has to be read on its own.
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
          Add(epoll, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
        }
        continue;
      }
      const bool hangs_up = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
      Outcome outcome = Serve(event.data.fd);
      while (outcome == Outcome::kFull || (hangs_up && outcome != Outcome::kEnded)) {
        outcome = Serve(event.data.fd);
      }
      if (outcome == Outcome::kEnded) Close(event.data.fd);
    }
  }
}

}  // namespace
}  // namespace quintet::floors

int main(int argc, char** argv) {
  quintet::floors::Run(quintet::floors::Listen(argc, argv, "epoll_et"));
}
