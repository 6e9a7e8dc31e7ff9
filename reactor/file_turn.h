// How backends that perform file requests themselves hand out what they came to.
#ifndef QUINTET_REACTOR_FILE_TURN_H_
#define QUINTET_REACTOR_FILE_TURN_H_

#include <cstdint>
#include <utility>

#include "reactor/file_request.h"
#include "reactor/source.h"

namespace quintet {

// A source without a descriptor, owned by its backend and never added to it: its completion (kFile)
// calls the callback of one request. So the loop delivers file requests as it delivers everything
// else, within the bounds of its turn. Loop's thread only; internal to backends.
class FileTurn final : public Source {
 public:
  // The completion for Next() that tells `result` to `done`. What was set before and never
  // delivered is destroyed.
  Completion Set(FileDone done, int64_t result) {
    done_ = std::move(done);
    result_ = result;
    return {.source = this, .data = {}, .result = 0, .op = Op::kFile};
  }

  void OnCompletion(const Completion& /*completion*/) override {
    // Out of here first: the callback may end the loop's turn by an exception.
    FileDone done = std::exchange(done_, nullptr);
    done(result_);
  }

 private:
  FileDone done_;
  int64_t result_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_FILE_TURN_H_
