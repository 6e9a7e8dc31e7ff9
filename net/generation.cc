#include "net/generation.h"

#include <utility>

#include "net/process_generation.h"
#include "net/thread_generation.h"

namespace quintet {

std::unique_ptr<Generation> CreateGeneration(WorkerKind kind, EventLoop& loop,
                                             GenerationSetup setup, Generation::Events events) {
  if (kind == WorkerKind::kProcess) {
    return std::make_unique<ProcessGeneration>(loop, std::move(setup), std::move(events));
  }
  return std::make_unique<ThreadGeneration>(loop, std::move(setup), std::move(events));
}

}  // namespace quintet
