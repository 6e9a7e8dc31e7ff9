#include "reactor/epoll_poller.h"

#include <errno.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "reactor/errno_text.h"
#include "reactor/poll_bits.h"
#include "reactor/poll_timeout.h"

namespace quintet {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI &&
              EPOLLRDHUP == POLLRDHUP && EPOLLHUP == POLLHUP && EPOLLERR == POLLERR);

absl::StatusOr<std::unique_ptr<Poller>> EpollPoller::Create(BackendKind kind) {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    return absl::UnavailableError(absl::StrCat("epoll_create1: ", ErrnoText(errno)));
  }
  return std::unique_ptr<Poller>(new EpollPoller(kind, fd));
}

EpollPoller::EpollPoller(BackendKind kind, int epoll_fd)
    : kind_(kind), epoll_fd_(epoll_fd), events_(kEventsPerWait) {}

EpollPoller::~EpollPoller() { ::close(epoll_fd_); }

int EpollPoller::Update(int fd, Readiness registered, Readiness wanted, Trigger trigger,
                        uint64_t token) {
  epoll_event event{};
  event.events = ToPollBits(wanted);
  if (trigger == Trigger::kEdge) event.events |= EPOLLET;
  event.data.u64 = token;
  const int op = !Any(registered) ? EPOLL_CTL_ADD : Any(wanted) ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
  return ::epoll_ctl(epoll_fd_, op, fd, &event) == 0 ? 0 : -errno;
}

int EpollPoller::AddExclusive(int fd, uint64_t token) {
  epoll_event event{};
  // EPOLLRDHUP may not stand beside it (epoll_ctl(2)).
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  event.data.u64 = token;
  return ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int EpollPoller::WaitForEvents(Duration timeout) {
  // A wait of no or unlimited length needs no nanoseconds, and the older call is the one that every
  // seccomp profile allows.
  if (timeout > Duration::zero() && has_pwait2_) {
    const timespec ts = ToTimespec(timeout);
    const int n = ::epoll_pwait2(epoll_fd_, events_.data(), kEventsPerWait, &ts, nullptr);
    if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
    has_pwait2_ = false;
  }
  return ::epoll_wait(epoll_fd_, events_.data(), kEventsPerWait, ToPollTimeout(timeout));
}

int EpollPoller::Wait(Duration timeout, std::vector<ReadyEvent>* ready) {
  ready->clear();
  const int n = WaitForEvents(timeout);
  if (n < 0) return -errno;
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events_[static_cast<size_t>(i)];
    ready->push_back({event.data.u64, FromPollBits(event.events)});
  }
  return 0;
}

}  // namespace quintet
