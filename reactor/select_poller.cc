#include "reactor/select_poller.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>

namespace quintet {
namespace {

// Waiting times are held below select's own limit, which POSIX sets at 31 days at least.
constexpr auto kLongestWait = std::chrono::hours(24 * 31);

timeval ToTimeval(Duration timeout) {
  const auto us =
      std::chrono::ceil<std::chrono::microseconds>(std::min<Duration>(timeout, kLongestWait));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(us);
  return {.tv_sec = static_cast<time_t>(seconds.count()),
          .tv_usec = static_cast<suseconds_t>((us - seconds).count())};
}

void SetBit(int fd, bool on, fd_set* set) {
  if (on) {
    FD_SET(fd, set);
  } else {
    FD_CLR(fd, set);
  }
}

}  // namespace

SelectPoller::SelectPoller() {
  FD_ZERO(&read_);
  FD_ZERO(&write_);
  FD_ZERO(&except_);
}

int SelectPoller::CheckFd(int fd) const { return fd < FD_SETSIZE ? 0 : -EINVAL; }

int SelectPoller::Update(int fd, Readiness, Readiness wanted, Trigger, uint64_t token) {
  if (CheckFd(fd) != 0) return -EINVAL;
  SetBit(fd, Any(wanted & Readiness::kReadable), &read_);
  SetBit(fd, Any(wanted & Readiness::kWritable), &write_);
  SetBit(fd, Any(wanted & Readiness::kPriority), &except_);
  tokens_[static_cast<size_t>(fd)] = token;
  if (Any(wanted)) {
    end_ = std::max(end_, fd + 1);
  } else {
    while (end_ > 0 && !FD_ISSET(end_ - 1, &read_) && !FD_ISSET(end_ - 1, &write_) &&
           !FD_ISSET(end_ - 1, &except_)) {
      --end_;
    }
  }
  return 0;
}

int SelectPoller::Wait(Duration timeout, std::vector<ReadyEvent>* ready) {
  ready->clear();
  fd_set read = read_;
  fd_set write = write_;
  fd_set except = except_;
  timeval tv{};
  const bool limited = timeout >= Duration::zero();
  if (limited) tv = ToTimeval(timeout);
  int left = ::select(end_, &read, &write, &except, limited ? &tv : nullptr);
  if (left < 0) {
    if (errno != EBADF) return -errno;
    ReportClosed(ready);
    return 0;
  }
  // select counts bits, not descriptors.
  for (int fd = 0; left > 0; ++fd) {
    Readiness bits = Readiness::kNone;
    if (FD_ISSET(fd, &read)) bits |= Readiness::kReadable, --left;
    if (FD_ISSET(fd, &write)) bits |= Readiness::kWritable, --left;
    if (FD_ISSET(fd, &except)) bits |= Readiness::kPriority, --left;
    if (Any(bits)) ready->push_back({tokens_[static_cast<size_t>(fd)], bits});
  }
  return 0;
}

void SelectPoller::ReportClosed(std::vector<ReadyEvent>* ready) const {
  for (int fd = 0; fd < end_; ++fd) {
    if (!FD_ISSET(fd, &read_) && !FD_ISSET(fd, &write_) && !FD_ISSET(fd, &except_)) continue;
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    ready->push_back({tokens_[static_cast<size_t>(fd)], Readiness::kError});
  }
}

}  // namespace quintet
