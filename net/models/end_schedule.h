// Decides when a server of a classic model comes to its end.
#ifndef QUINTET_NET_MODELS_END_SCHEDULE_H_
#define QUINTET_NET_MODELS_END_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "net/drain_plan.h"
#include "net/models/ending.h"
#include "net/unique_fd.h"
#include "reactor/clock.h"

namespace quintet {

// Takes requests from any thread and process, and follows the clock on the thread that owns it.
class EndSchedule final : public Ending {
 public:
  // What Stop() writes to wakeup_fd(), so that signal handlers and forked children can do the same.
  // Far above what Drain() adds, so that the descriptor's one number tells both.
  static constexpr uint64_t kStopUnit = uint64_t{1} << 32;

  // `clock` must outlive it. Errors: ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<EndSchedule>> Create(const DrainPlan& stop_plan,
                                                             Clock& clock);

  // Any thread, also a signal handler; also in a forked child.
  void Stop();
  // Any thread. A later plan may only shorten the time.
  void Drain(const DrainPlan& plan);
  int wakeup_fd() const { return wakeup_.get(); }

  // The rest on the owner's thread.

  // Called by Look() when the stage, or stopping(), has changed.
  void set_on_change(std::function<void()> on_change) { on_change_ = std::move(on_change); }

  EndStage stage() const override { return stage_; }
  bool stopping() const override { return stopping_; }
  int fd(EndStage) const override { return wakeup_.get(); }
  TimePoint next() const override;
  void Look() override;

 private:
  EndSchedule(const DrainPlan& stop_plan, Clock& clock, UniqueFd wakeup)
      : stop_plan_(stop_plan), clock_(clock), wakeup_(std::move(wakeup)) {}

  void TakeRequests();
  void Apply(const DrainPlan& plan);
  void BeginDrain(Duration timeout);
  void Enter(EndStage stage);

  const DrainPlan stop_plan_;
  Clock& clock_;
  const UniqueFd wakeup_;
  std::mutex mutex_;
  std::vector<DrainPlan> asked_;  // guarded by mutex_

  std::function<void()> on_change_;
  EndStage stage_ = EndStage::kServing;
  bool stopping_ = false;
  bool changed_ = false;
  TimePoint drain_at_ = kNever;  // the end of a delay
  Duration drain_timeout_ = Duration::zero();
  TimePoint over_at_ = kNever;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_END_SCHEDULE_H_
