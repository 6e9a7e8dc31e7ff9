#include "net/byte_queue.h"

#include <cassert>
#include <cstring>

namespace quintet {

ByteQueue::~ByteQueue() { assert(capacity_ == 0 && "a byte queue was not cleared"); }

void ByteQueue::Append(std::string_view bytes, BlockPool& pool) {
  if (bytes.empty()) return;
  if (capacity_ - offset_ - size() < bytes.size()) {
    const size_t needed = size() + bytes.size();
    // Moving within the block is worth it only while it frees at least half of it, so that each
    // byte moves a bounded number of times.
    if (needed > capacity_ || offset_ < capacity_ / 2) {
      const Block larger = pool.Take(needed + (empty() ? 0 : needed / 2));
      const Block smaller = block();
      MoveTo(larger.data);
      capacity_ = static_cast<uint32_t>(larger.capacity);
      pool.Give(smaller);
    } else {
      MoveTo(block().data);
    }
  }
  std::memcpy(front() + size(), bytes.data(), bytes.size());
  content_.iov_len += bytes.size();
}

// Moves the content to the beginning of a block.
void ByteQueue::MoveTo(char* data) {
  if (!empty()) std::memmove(data, front(), size());
  content_.iov_base = data;
  offset_ = 0;
}

void ByteQueue::Consume(size_t count, BlockPool* pool) {
  assert(count <= size());
  content_ = {front() + count, size() - count};
  offset_ += static_cast<uint32_t>(count);
  if (empty()) Clear(pool);
}

void ByteQueue::Clear(BlockPool* pool) {
  const Block emptied = block();
  content_ = {};
  offset_ = capacity_ = 0;
  if (pool != nullptr) {
    pool->Give(emptied);
  } else {
    BlockPool::Free(emptied);
  }
}

}  // namespace quintet
