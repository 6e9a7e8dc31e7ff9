#include "net/models/end_schedule.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "net/errno_status.h"

namespace quintet {
namespace {

void Add(int fd, uint64_t n) {
  const int saved_errno = errno;
  [[maybe_unused]] const ssize_t written = ::write(fd, &n, sizeof(n));
  errno = saved_errno;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EndSchedule>> EndSchedule::Create(const DrainPlan& stop_plan,
                                                                 Clock& clock) {
  UniqueFd wakeup(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wakeup.valid()) return ErrnoStatus(errno, "eventfd");
  return std::unique_ptr<EndSchedule>(new EndSchedule(stop_plan, clock, std::move(wakeup)));
}

void EndSchedule::Stop() { Add(wakeup_.get(), kStopUnit); }

void EndSchedule::Drain(const DrainPlan& plan) {
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(plan);
  }
  Add(wakeup_.get(), 1);
}

TimePoint EndSchedule::next() const {
  return stage_ == EndStage::kServing    ? drain_at_
         : stage_ == EndStage::kDraining ? over_at_
                                         : kNever;
}

void EndSchedule::Look() {
  TakeRequests();
  const TimePoint now = clock_.Now();
  if (stage_ == EndStage::kServing && drain_at_ <= now) BeginDrain(drain_timeout_);
  if (stage_ == EndStage::kDraining && over_at_ <= now) Enter(EndStage::kOver);
  if (std::exchange(changed_, false) && on_change_) on_change_();
}

void EndSchedule::TakeRequests() {
  uint64_t asked = 0;
  if (::read(wakeup_.get(), &asked, sizeof(asked)) != sizeof(asked)) return;
  std::vector<DrainPlan> plans;
  {
    const std::lock_guard lock(mutex_);
    swap(plans, asked_);
  }
  for (const DrainPlan& plan : plans) Apply(plan);
  if (asked >= kStopUnit) Apply(stop_plan_);
}

void EndSchedule::Apply(const DrainPlan& plan) {
  if (plan.stopping) {
    changed_ = changed_ || !stopping_;
    stopping_ = true;
    if (plan.delay > Duration::zero()) {
      // Another delay does not lengthen the first.
      if (drain_at_ != kNever || stage_ != EndStage::kServing) return;
      drain_at_ = AddSaturated(clock_.Now(), plan.delay);
      drain_timeout_ = plan.timeout;
      return;
    }
  }
  BeginDrain(plan.timeout);
}

void EndSchedule::BeginDrain(Duration timeout) {
  if (timeout <= Duration::zero()) return Enter(EndStage::kAborted);
  Enter(EndStage::kDraining);
  over_at_ = std::min(over_at_, AddSaturated(clock_.Now(), timeout));
}

void EndSchedule::Enter(EndStage stage) {
  if (stage <= stage_) return;
  stage_ = stage;
  changed_ = true;
}

}  // namespace quintet
