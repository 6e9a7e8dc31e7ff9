// poll(2).
#ifndef QUINTET_REACTOR_POLL_POLLER_H_
#define QUINTET_REACTOR_POLL_POLLER_H_

#include <poll.h>

#include <vector>

#include "reactor/poller.h"

namespace quintet {

class PollPoller final : public Poller {
 public:
  BackendKind kind() const override { return BackendKind::kPoll; }
  bool edge_triggered() const override { return false; }
  bool has_edges() const override { return false; }
  int update_syscalls() const override { return 0; }
  int CheckFd(int) const override { return 0; }
  int Update(int fd, Readiness registered, Readiness wanted, Trigger trigger,
             uint64_t token) override;
  int Wait(Duration timeout, std::vector<ReadyEvent>* ready) override;

 private:
  // Parallel arrays without gaps, in the order of adding; a removed entry is filled with the last.
  std::vector<pollfd> fds_;
  std::vector<uint64_t> tokens_;
  std::vector<uint32_t> index_by_fd_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_POLL_POLLER_H_
