// When a server kills its children that do not end by themselves.
#ifndef QUINTET_NET_MODELS_KILL_TIMER_H_
#define QUINTET_NET_MODELS_KILL_TIMER_H_

#include "net/models/ending.h"
#include "net/models/model_server.h"
#include "reactor/clock.h"

namespace quintet {

class KillTimer {
 public:
  // When Due() is to be asked again; kNever before the drain is over.
  TimePoint next() const { return at_; }

  // To be asked before next() is, after each look at the stage. True once ModelServer::kKillGrace
  // has passed since that was first kOver or beyond, and after each further such time.
  bool Due(EndStage stage, TimePoint now) {
    if (stage < EndStage::kOver) return false;
    const bool due = at_ <= now;
    if (due || at_ == kNever) at_ = AddSaturated(now, ModelServer::kKillGrace);
    return due;
  }

 private:
  TimePoint at_ = kNever;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_KILL_TIMER_H_
