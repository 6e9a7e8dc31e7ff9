#include "net/block_pool.h"

#include <algorithm>
#include <bit>

namespace quintet {
namespace {

size_t SizeIndex(size_t capacity) {
  return static_cast<size_t>(std::countr_zero(capacity) - std::countr_zero(BlockPool::kSmallest));
}

}  // namespace

BlockPool::~BlockPool() {
  for (const auto& blocks : free_) {
    for (char* data : blocks) delete[] data;
  }
}

Block BlockPool::Take(size_t bytes) {
  const size_t capacity = std::bit_ceil(std::max(bytes, kSmallest));
  if (capacity <= kLargestKept) {
    auto& blocks = free_[SizeIndex(capacity)];
    if (!blocks.empty()) {
      char* const data = blocks.back();
      blocks.pop_back();
      return {data, capacity};
    }
  }
  return {new char[capacity], capacity};
}

void BlockPool::Give(Block block) {
  if (block.data == nullptr) return;
  if (block.capacity <= kLargestKept) {
    auto& blocks = free_[SizeIndex(block.capacity)];
    if ((blocks.size() + 1) * block.capacity <= kKeptBytesPerSize) {
      blocks.push_back(block.data);
      return;
    }
  }
  Free(block);
}

void BlockPool::Free(Block block) { delete[] block.data; }

size_t BlockPool::kept_bytes() const {
  size_t bytes = 0;
  for (size_t i = 0; i < kSizes; ++i) bytes += free_[i].size() * (kSmallest << i);
  return bytes;
}

}  // namespace quintet
