// Bytes that wait, in one piece: appended at the end, consumed at the front.
#ifndef QUINTET_NET_BYTE_QUEUE_H_
#define QUINTET_NET_BYTE_QUEUE_H_

#include <sys/uio.h>

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

  bool empty() const { return content_.iov_len == 0; }
  size_t size() const { return content_.iov_len; }
  std::span<const char> bytes() const { return {front(), size()}; }
  // The same for a system call; the queue keeps it in place until it is changed or swapped.
  const iovec& content() const { return content_; }

  // Moves nothing that bytes() has shown, unless the block has to grow or be compacted.
  void Append(std::string_view bytes, BlockPool& pool);
  void Consume(size_t count, BlockPool* pool);
  void Clear(BlockPool* pool);

  friend void swap(ByteQueue& a, ByteQueue& b) {
    std::swap(a.content_, b.content_);
    std::swap(a.offset_, b.offset_);
    std::swap(a.capacity_, b.capacity_);
  }

 private:
  char* front() const { return static_cast<char*>(content_.iov_base); }
  Block block() const { return {front() - offset_, capacity_}; }
  void MoveTo(char* data);

  iovec content_{};        // within the block
  uint32_t offset_ = 0;    // of the content in the block
  uint32_t capacity_ = 0;  // of the block; 0: there is none
};
static_assert(sizeof(ByteQueue) == 24, "an idle connection has three of them");

}  // namespace quintet

#endif  // QUINTET_NET_BYTE_QUEUE_H_
