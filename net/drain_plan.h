// How a server, or a worker of it, comes to its end.
#ifndef QUINTET_NET_DRAIN_PLAN_H_
#define QUINTET_NET_DRAIN_PLAN_H_

#include <chrono>
#include <cstddef>
#include <vector>

#include "reactor/clock.h"

namespace quintet {

struct DrainPlan {
  // For so long it goes on accepting, while Transport::stopping() says already what will come: time
  // for a balancer to send its connections elsewhere. Only where `stopping`.
  Duration delay = Duration::zero();
  // From then until connections that have not ended are ended for them.
  Duration timeout = std::chrono::seconds(10);
  static constexpr Duration kNoTimeout = Duration::max();
  // Nobody takes its place.
  bool stopping = true;
  // Listening sockets, by index of the ListenSockets, that nobody may accept from afterwards: who
  // waits in them then is served first, unless `timeout` is zero. With `stopping`, all are.
  std::vector<size_t> abandoned = {};
};

}  // namespace quintet

#endif  // QUINTET_NET_DRAIN_PLAN_H_
