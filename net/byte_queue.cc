#include "net/byte_queue.h"

#include <cassert>
#include <cstring>

namespace quintet {

ByteQueue::~ByteQueue() { assert(block_.data == nullptr && "a byte queue was not cleared"); }

void ByteQueue::Append(std::string_view bytes, BlockPool& pool) {
  if (bytes.empty()) return;
  if (block_.capacity - end_ < bytes.size()) {
    const size_t held = size();
    const size_t needed = held + bytes.size();
    // Moving within the block is worth it only while it frees at least half of it, so that each
    // byte moves a bounded number of times.
    if (needed > block_.capacity || begin_ < block_.capacity / 2) {
      const Block larger = pool.Take(needed + (held > 0 ? needed / 2 : 0));
      if (held > 0) std::memcpy(larger.data, block_.data + begin_, held);
      pool.Give(std::exchange(block_, larger));
    } else {
      std::memmove(block_.data, block_.data + begin_, held);
    }
    begin_ = 0;
    end_ = static_cast<uint32_t>(held);
  }
  std::memcpy(block_.data + end_, bytes.data(), bytes.size());
  end_ += static_cast<uint32_t>(bytes.size());
}

void ByteQueue::Consume(size_t count, BlockPool* pool) {
  assert(count <= size());
  begin_ += static_cast<uint32_t>(count);
  if (empty()) Clear(pool);
}

void ByteQueue::Clear(BlockPool* pool) {
  const Block block = std::exchange(block_, {});
  begin_ = end_ = 0;
  if (pool != nullptr) {
    pool->Give(block);
  } else {
    BlockPool::Free(block);
  }
}

}  // namespace quintet
