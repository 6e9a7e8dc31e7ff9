// select(2).
#ifndef QUINTET_REACTOR_SELECT_POLLER_H_
#define QUINTET_REACTOR_SELECT_POLLER_H_

#include <sys/select.h>

#include <array>

#include "reactor/poller.h"

namespace quintet {

// Limited to descriptors below FD_SETSIZE: the set is a bit field of that many bits, and a larger
// number would be written past its end (select(2), "BUGS"). Hang-up and error show as readable and
// writable.
class SelectPoller final : public Poller {
 public:
  SelectPoller();

  BackendKind kind() const override { return BackendKind::kSelect; }
  bool edge_triggered() const override { return false; }
  bool has_edges() const override { return false; }
  int update_syscalls() const override { return 0; }
  int CheckFd(int fd) const override;
  int Update(int fd, Readiness registered, Readiness wanted, Trigger trigger,
             uint64_t token) override;
  int Wait(Duration timeout, std::vector<ReadyEvent>* ready) override;

 private:
  // select fails as a whole with EBADF when one descriptor was closed behind our back, where poll
  // reports POLLNVAL for the one: finds it.
  void ReportClosed(std::vector<ReadyEvent>* ready) const;

  fd_set read_;
  fd_set write_;
  fd_set except_;
  int end_ = 0;  // one past the highest descriptor of the sets
  std::array<uint64_t, FD_SETSIZE> tokens_{};
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SELECT_POLLER_H_
