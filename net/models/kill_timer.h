// When a server kills its children that do not end by themselves.
#ifndef QUINTET_NET_MODELS_KILL_TIMER_H_
#define QUINTET_NET_MODELS_KILL_TIMER_H_

#include <algorithm>
#include <utility>

#include "net/models/ending.h"
#include "net/models/model_server.h"
#include "reactor/clock.h"

namespace quintet {

class KillTimer {
 public:
  // When Due() is to be asked again; kNever before the drain is over.
  TimePoint next() const { return at_; }

  // To be asked before next() is, after each look at the stage. True once a grace has passed since
  // that was first kOver (ModelServer::kKillGrace) or kAborted (kAbortGrace), whichever is over
  // first, and after each further such time.
  bool Due(EndStage stage, TimePoint now) {
    if (stage < EndStage::kOver) return false;
    const bool due = at_ <= now;
    if (due) at_ = kNever;
    if (std::exchange(seen_, stage) != stage || due) {
      at_ = std::min(at_, AddSaturated(now, stage == EndStage::kAborted ? ModelServer::kAbortGrace
                                                                        : ModelServer::kKillGrace));
    }
    return due;
  }

 private:
  EndStage seen_ = EndStage::kServing;
  TimePoint at_ = kNever;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_KILL_TIMER_H_
