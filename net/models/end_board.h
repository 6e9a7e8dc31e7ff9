// Tells the threads and processes of a server how far it has come on its way to its end.
#ifndef QUINTET_NET_MODELS_END_BOARD_H_
#define QUINTET_NET_MODELS_END_BOARD_H_

#include <atomic>
#include <memory>

#include "absl/status/statusor.h"
#include "net/models/ending.h"
#include "net/unique_fd.h"

namespace quintet {

// What everybody reads. Holds no pointers, so it may lie in memory that processes share.
struct EndNotice {
  std::atomic<EndStage> stage = EndStage::kServing;
  std::atomic<bool> stopping = false;
};
static_assert(std::atomic<EndStage>::is_always_lock_free, "processes share it");

// One writes, any thread and any forked child reads. Its descriptors are never read from: whoever
// polls one is woken, however many they are.
class EndBoard final : public Ending {
 public:
  // `notice` must outlive it. Errors: ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<EndBoard>> Create(EndNotice& notice);

  // The writer. Stages only go on.
  void Show(EndStage stage, bool stopping);

  // Any thread, any forked child.
  EndStage stage() const override { return notice_.stage.load(std::memory_order_acquire); }
  bool stopping() const override { return notice_.stopping.load(std::memory_order_relaxed); }
  int fd(EndStage seen) const override;
  TimePoint next() const override { return kNever; }
  void Look() override {}

 private:
  EndBoard(EndNotice& notice, UniqueFd draining, UniqueFd over)
      : notice_(notice), draining_(std::move(draining)), over_(std::move(over)) {}

  EndNotice& notice_;
  const UniqueFd draining_;  // readable from kDraining on
  const UniqueFd over_;      // readable from kOver on
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_END_BOARD_H_
