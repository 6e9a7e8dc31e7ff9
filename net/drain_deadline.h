// Until when a drain may last, by one plan or by several.
#ifndef QUINTET_NET_DRAIN_DEADLINE_H_
#define QUINTET_NET_DRAIN_DEADLINE_H_

#include <algorithm>
#include <chrono>

#include "net/drain_plan.h"
#include "reactor/clock.h"

namespace quintet {

// A value; not synchronised.
class DrainDeadline {
 public:
  // A plan that begins now. It may only shorten the time: an earlier deadline stays.
  void Add(const DrainPlan& plan, TimePoint now) {
    const Duration delay = plan.stopping ? plan.delay : Duration::zero();
    at_ = std::min(at_, AddSaturated(AddSaturated(now, delay), plan.timeout));
  }

  // kNever where no plan has had a timeout.
  TimePoint at() const { return at_; }

  // What is left of the time, as a DrainPlan::timeout. Never zero, which would abort what a drain
  // that comes late is only to end.
  Duration Left(TimePoint now) const {
    if (at_ == kNever) return DrainPlan::kNoTimeout;
    return std::max<Duration>(at_ - now, std::chrono::nanoseconds(1));
  }

 private:
  TimePoint at_ = kNever;
};

}  // namespace quintet

#endif  // QUINTET_NET_DRAIN_DEADLINE_H_
