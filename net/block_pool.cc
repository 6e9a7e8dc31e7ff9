#include "net/block_pool.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace quintet {
namespace {

size_t SizeIndex(size_t capacity) {
  return static_cast<size_t>(std::countr_zero(capacity) - std::countr_zero(BlockPool::kSmallest));
}

}  // namespace

BlockPool::~BlockPool() {
  for (FreeList& list : free_) {
    while (list.first != nullptr) delete[] Pop(list);
  }
}

char* BlockPool::Pop(FreeList& list) {
  char* const data = list.first;
  std::memcpy(&list.first, data, sizeof(list.first));
  --list.blocks;
  return data;
}

Block BlockPool::Take(size_t bytes) {
  const size_t capacity = std::bit_ceil(std::max(bytes, kSmallest));
  if (capacity <= kLargestKept) {
    FreeList& list = free_[SizeIndex(capacity)];
    if (list.first != nullptr) return {Pop(list), capacity};
  }
  return {new char[capacity], capacity};
}

void BlockPool::Give(Block block) {
  if (block.data == nullptr) return;
  if (block.capacity <= kLargestKept) {
    FreeList& list = free_[SizeIndex(block.capacity)];
    if ((list.blocks + 1) * block.capacity <= kKeptBytesPerSize) {
      std::memcpy(block.data, &list.first, sizeof(list.first));
      list.first = block.data;
      ++list.blocks;
      return;
    }
  }
  Free(block);
}

void BlockPool::Free(Block block) { delete[] block.data; }

size_t BlockPool::kept_bytes() const {
  size_t bytes = 0;
  for (size_t i = 0; i < kSizes; ++i) bytes += free_[i].blocks * (kSmallest << i);
  return bytes;
}

}  // namespace quintet
