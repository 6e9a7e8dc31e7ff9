#include "reactor/poll_poller.h"

#include <errno.h>

#include "reactor/grow.h"
#include "reactor/poll_bits.h"
#include "reactor/poll_timeout.h"

namespace quintet {

int PollPoller::Update(int fd, Readiness registered, Readiness wanted, Trigger, uint64_t token) {
  const auto number = static_cast<size_t>(fd);
  if (!Any(registered)) {
    if (number >= index_by_fd_.size()) {
      GrowByAQuarter(index_by_fd_, number + 1);
      index_by_fd_.resize(number + 1);
    }
    GrowByAQuarter(fds_, fds_.size() + 1);
    GrowByAQuarter(tokens_, tokens_.size() + 1);
    index_by_fd_[number] = static_cast<uint32_t>(fds_.size());
    fds_.push_back({fd, static_cast<short>(ToPollBits(wanted)), 0});
    tokens_.push_back(token);
    return 0;
  }
  const uint32_t index = index_by_fd_[number];
  if (Any(wanted)) {
    fds_[index].events = static_cast<short>(ToPollBits(wanted));
    tokens_[index] = token;
    return 0;
  }
  fds_[index] = fds_.back();
  tokens_[index] = tokens_.back();
  index_by_fd_[static_cast<size_t>(fds_[index].fd)] = index;
  fds_.pop_back();
  tokens_.pop_back();
  return 0;
}

int PollPoller::Wait(Duration timeout, std::vector<ReadyEvent>* ready) {
  ready->clear();
  int left = ::poll(fds_.data(), fds_.size(), ToPollTimeout(timeout));
  if (left < 0) return -errno;
  for (size_t i = 0; left > 0; ++i) {
    if (fds_[i].revents == 0) continue;
    ready->push_back({tokens_[i], FromPollBits(static_cast<uint16_t>(fds_[i].revents))});
    --left;
  }
  return 0;
}

}  // namespace quintet
