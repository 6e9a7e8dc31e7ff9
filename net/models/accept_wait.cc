#include "net/models/accept_wait.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/models/poll_until.h"
#include "reactor/poll_timeout.h"

namespace quintet {

absl::StatusOr<std::unique_ptr<AcceptWait>> AcceptWait::Create(PreforkAccept kind,
                                                               std::vector<int> fds) {
  std::unique_ptr<AcceptWait> wait(new AcceptWait(kind, std::move(fds)));
  for (const pollfd& entry : wait->polled_) {
    if (kind == PreforkAccept::kSelect && entry.fd >= FD_SETSIZE) {
      return absl::InvalidArgumentError(
          absl::StrCat("select: descriptor ", entry.fd, " is not below FD_SETSIZE, ", FD_SETSIZE));
    }
  }
  if (kind != PreforkAccept::kEpoll) return wait;
  wait->epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!wait->epoll_.valid()) return ErrnoStatus(errno, "epoll_create1");
  for (const pollfd& entry : wait->polled_) {
    // Without EPOLLEXCLUSIVE: it is the herd that is to be shown.
    epoll_event event{.events = EPOLLIN, .data = {.fd = entry.fd}};
    if (::epoll_ctl(wait->epoll_.get(), EPOLL_CTL_ADD, entry.fd, &event) != 0) {
      return ErrnoStatus(errno, "epoll_ctl");
    }
  }
  return wait;
}

AcceptWait::AcceptWait(PreforkAccept kind, std::vector<int> fds) : kind_(kind) {
  for (const int fd : fds) polled_.push_back({.fd = fd, .events = POLLIN, .revents = 0});
}

const std::vector<pollfd>& AcceptWait::Wait(TimePoint deadline, Clock& clock) {
  if (kind_ != PreforkAccept::kSelect && kind_ != PreforkAccept::kEpoll) {
    PollUntil(polled_, deadline, clock);
    return polled_;
  }
  for (pollfd& entry : polled_) entry.revents = 0;
  const TimePoint now = clock.Now();
  timespec timeout{};
  if (deadline > now) timeout = ToTimespec(deadline - now);
  const timespec* const limit = deadline == kNever ? nullptr : &timeout;
  if (kind_ == PreforkAccept::kSelect) {
    Select(limit);
  } else {
    Epoll(limit);
  }
  return polled_;
}

void AcceptWait::Select(const timespec* timeout) {
  fd_set set;
  FD_ZERO(&set);
  int highest = -1;
  for (const pollfd& entry : polled_) {
    FD_SET(entry.fd, &set);
    highest = std::max(highest, entry.fd);
  }
  if (::pselect(highest + 1, &set, nullptr, nullptr, timeout, nullptr) <= 0) return;
  for (pollfd& entry : polled_) {
    if (FD_ISSET(entry.fd, &set)) entry.revents = POLLIN;
  }
}

void AcceptWait::Epoll(const timespec* timeout) {
  std::array<epoll_event, 16> events;
  const int milliseconds = timeout == nullptr
                               ? -1
                               : ToPollTimeout(std::chrono::seconds(timeout->tv_sec) +
                                               std::chrono::nanoseconds(timeout->tv_nsec));
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), milliseconds);
  for (int i = 0; i < count; ++i) Mark(events[static_cast<size_t>(i)].data.fd);
}

void AcceptWait::Mark(int fd) {
  for (pollfd& entry : polled_) {
    if (entry.fd == fd) entry.revents = POLLIN;
  }
}

}  // namespace quintet
