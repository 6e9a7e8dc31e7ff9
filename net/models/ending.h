// How far a server has come on its way to its end, for those who block meanwhile.
#ifndef QUINTET_NET_MODELS_ENDING_H_
#define QUINTET_NET_MODELS_ENDING_H_

#include <cstdint>

#include "reactor/clock.h"

namespace quintet {

// Each comes behind those above it; some may be skipped.
enum class EndStage : uint8_t {
  kServing,   // also during the delay of a drain (DrainPlan::delay)
  kDraining,  // nothing is accepted any more; sessions are told OnDrain()
  kOver,      // what is left is ended: with FIN where idle, with a reset elsewhere
  kAborted,   // what is left is reset
};

class Ending {
 public:
  virtual ~Ending() = default;

  virtual EndStage stage() const = 0;
  // Transport::stopping().
  virtual bool stopping() const = 0;

  // What wakes one who blocks and last saw `seen`: a descriptor that becomes readable (-1: none),
  // or the time next(). Then Look() is to be called, and stage() asked again.
  virtual int fd(EndStage seen) const = 0;
  virtual TimePoint next() const = 0;
  virtual void Look() = 0;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_ENDING_H_
