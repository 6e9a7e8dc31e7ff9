// What the processes that hold one worker's place, one after the other, have counted together.
#ifndef QUINTET_NET_PLACE_COUNTERS_H_
#define QUINTET_NET_PLACE_COUNTERS_H_

#include <memory>
#include <vector>

#include "net/server.h"
#include "net/worker_counters.h"

namespace quintet {

// Every process has counters of its own: one that was replaced counts on while it drains, beside
// its successor, and each counter has one writer. Used by the supervisor's thread only; the
// processes write to what Add() gave them.
class PlaceCounters {
 public:
  // Counters, at zero, for a process that is to be forked: in memory that it then shares with this
  // one. They stay readable for as long as the pointer is held. Null where there is no memory
  // (mmap(2)).
  std::shared_ptr<WorkerCounters[]> Add();
  // The process that wrote them has ended: its connections are nobody's, the rest stays counted.
  // Must have come from Add().
  void Retire(const WorkerCounters* counters);

  // Of all processes, those included that have ended: nothing in it but `active` ever shrinks.
  ShardStats Sum() const;

 private:
  std::vector<std::shared_ptr<WorkerCounters[]>> living_;
  ShardStats ended_;
};

}  // namespace quintet

#endif  // QUINTET_NET_PLACE_COUNTERS_H_
