#include "net/models/end_board.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/errno_status.h"

namespace quintet {
namespace {

void Raise(const UniqueFd& fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd.get(), &one, sizeof(one));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EndBoard>> EndBoard::Create(EndNotice& notice) {
  UniqueFd draining(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!draining.valid()) return ErrnoStatus(errno, "eventfd");
  UniqueFd over(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!over.valid()) return ErrnoStatus(errno, "eventfd");
  return std::unique_ptr<EndBoard>(new EndBoard(notice, std::move(draining), std::move(over)));
}

void EndBoard::Show(EndStage stage, bool stopping) {
  notice_.stopping.store(stopping, std::memory_order_relaxed);
  // Before the descriptors: who is woken by them sees it.
  notice_.stage.store(stage, std::memory_order_release);
  if (stage >= EndStage::kDraining) Raise(draining_);
  if (stage >= EndStage::kOver) Raise(over_);
}

int EndBoard::fd(EndStage seen) const {
  if (seen < EndStage::kDraining) return draining_.get();
  return seen < EndStage::kOver ? over_.get() : -1;
}

}  // namespace quintet
