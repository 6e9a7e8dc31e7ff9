// What will happen, in order of time.
#ifndef QUINTET_REACTOR_SIM_SIM_EVENTS_H_
#define QUINTET_REACTOR_SIM_SIM_EVENTS_H_

#include <cstddef>
#include <functional>
#include <map>
#include <utility>

#include "reactor/clock.h"

namespace quintet {

// Events of the same moment happen in the order in which they were asked for.
class SimEvents {
 public:
  void At(TimePoint when, std::function<void()> action) {
    events_.emplace(when, std::move(action));
  }

  TimePoint next() const { return events_.empty() ? kNever : events_.begin()->first; }

  // Runs what is due at `now`, also what the events themselves add for that time.
  void RunDue(TimePoint now) {
    while (!events_.empty() && events_.begin()->first <= now) {
      const auto node = events_.extract(events_.begin());
      node.mapped()();
    }
  }

 private:
  std::multimap<TimePoint, std::function<void()>> events_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_EVENTS_H_
