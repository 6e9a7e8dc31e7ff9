// epoll(7), level- or edge-triggered.
#ifndef QUINTET_REACTOR_EPOLL_POLLER_H_
#define QUINTET_REACTOR_EPOLL_POLLER_H_

#include <sys/epoll.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "reactor/poller.h"

namespace quintet {

class EpollPoller final : public Poller {
 public:
  // kEpollLt or kEpollEt. Unavailable when epoll_create1(2) fails.
  static absl::StatusOr<std::unique_ptr<Poller>> Create(BackendKind kind);
  ~EpollPoller() override;

  BackendKind kind() const override { return kind_; }
  bool edge_triggered() const override { return kind_ == BackendKind::kEpollEt; }
  bool has_edges() const override { return true; }
  int update_syscalls() const override { return 1; }
  int CheckFd(int) const override { return 0; }
  int Update(int fd, Readiness registered, Readiness wanted, Trigger trigger,
             uint64_t token) override;
  // EPOLLEXCLUSIVE, Linux 4.5.
  int AddExclusive(int fd, uint64_t token) override;
  int Wait(Duration timeout, std::vector<ReadyEvent>* ready) override;

 private:
  EpollPoller(BackendKind kind, int epoll_fd);

  int WaitForEvents(Duration timeout);

  // Events fetched by one call. Descriptors beyond it keep their place in the kernel's ready list,
  // which goes round, so none is starved.
  static constexpr int kEventsPerWait = 512;

  const BackendKind kind_;
  const int epoll_fd_;
  bool has_pwait2_ = true;  // epoll_pwait2(2): Linux 5.11, nanoseconds instead of milliseconds
  std::vector<epoll_event> events_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_EPOLL_POLLER_H_
