// Bytes that wait, in one piece: appended at the end, consumed at the front.
#ifndef QUINTET_NET_BYTE_QUEUE_H_
#define QUINTET_NET_BYTE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "net/block_pool.h"

namespace quintet {

// Holds a block only while it holds bytes. Pass it the same pool each time, or, once that is gone,
// null. Must be cleared before it is destroyed.
class ByteQueue {
 public:
  ByteQueue() = default;
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;
  ~ByteQueue();

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  std::span<const char> bytes() const { return {block_.data + begin_, size()}; }

  // Moves nothing that bytes() has shown, unless the block has to grow or be compacted.
  void Append(std::string_view bytes, BlockPool& pool);
  void Consume(size_t count, BlockPool* pool);
  void Clear(BlockPool* pool);

  friend void swap(ByteQueue& a, ByteQueue& b) {
    std::swap(a.block_, b.block_);
    std::swap(a.begin_, b.begin_);
    std::swap(a.end_, b.end_);
  }

 private:
  Block block_;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_NET_BYTE_QUEUE_H_
