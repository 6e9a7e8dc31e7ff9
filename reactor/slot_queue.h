// First-in first-out queue of slots that does not allocate once it has grown to its working size.
#ifndef QUINTET_REACTOR_SLOT_QUEUE_H_
#define QUINTET_REACTOR_SLOT_QUEUE_H_

#include <cassert>
#include <cstddef>
#include <vector>

#include "reactor/source.h"

namespace quintet {

// Holds names, not slots: a source may be gone, and its slot given out again, before its entry
// comes to the front. Whoever pops compares generations. Not thread-safe; internal to backends.
class SlotQueue final {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  void Push(SourceId id) {
    if (size_ == ring_.size()) Grow();
    ring_[(head_ + size_) & (ring_.size() - 1)] = id;
    ++size_;
  }

  SourceId front() const {
    assert(size_ > 0);
    return ring_[head_];
  }

  SourceId Pop() {
    const SourceId id = front();
    head_ = (head_ + 1) & (ring_.size() - 1);
    --size_;
    return id;
  }

 private:
  void Grow() {
    std::vector<SourceId> larger(ring_.empty() ? 64 : ring_.size() * 2);
    for (size_t i = 0; i < size_; ++i) larger[i] = ring_[(head_ + i) & (ring_.size() - 1)];
    ring_.swap(larger);
    head_ = 0;
  }

  std::vector<SourceId> ring_;  // a power of two
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SLOT_QUEUE_H_
