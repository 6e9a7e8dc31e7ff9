// Completions that were taken from the kernel and not yet delivered, in one list for each source.
#ifndef QUINTET_REACTOR_COMPLETION_STORE_H_
#define QUINTET_REACTOR_COMPLETION_STORE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "reactor/source.h"
#include "reactor/uring_source.h"

namespace quintet {

// The completion queue of io_uring may hold many entries of one source in a row (32 for a flooded
// multishot receive); lists let Next() give each source one at a time. Does not allocate once it
// has grown to its working size. Not thread-safe; internal to UringBackend.
class CompletionStore final {
 public:
  static constexpr uint16_t kNoBuffer = UINT16_MAX;

  struct Item {
    int32_t result = 0;
    uint32_t next = UringSource::kNone;
    uint16_t buffer = kNoBuffer;  // id of the receive buffer that holds `result` bytes
    Op op = Op::kClosed;
  };
  static_assert(sizeof(Item) <= 12);

  // Undelivered completions of all sources.
  size_t size() const { return size_; }

  void Append(UringSource& source, Op op, int32_t result, uint16_t buffer) {
    uint32_t index = free_;
    if (index == UringSource::kNone) {
      index = static_cast<uint32_t>(items_.size());
      items_.emplace_back();
    } else {
      free_ = items_[index].next;
    }
    items_[index] = {.result = result, .next = UringSource::kNone, .buffer = buffer, .op = op};
    if (source.first == UringSource::kNone) {
      source.first = index;
    } else {
      items_[source.last].next = index;
    }
    source.last = index;
    ++size_;
  }

  // Takes the oldest completion of `source`, which must have one.
  Item Pop(UringSource& source) {
    const uint32_t index = source.first;
    const Item item = items_[index];
    source.first = item.next;
    if (source.first == UringSource::kNone) source.last = UringSource::kNone;
    items_[index].next = free_;
    free_ = index;
    --size_;
    return item;
  }

  const Item& at(uint32_t index) const { return items_[index]; }

 private:
  std::vector<Item> items_;
  uint32_t free_ = UringSource::kNone;
  size_t size_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_COMPLETION_STORE_H_
