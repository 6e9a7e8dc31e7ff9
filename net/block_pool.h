// Memory for bytes on their way in and out, kept per loop so that a warm loop allocates nothing.
#ifndef QUINTET_NET_BLOCK_POOL_H_
#define QUINTET_NET_BLOCK_POOL_H_

#include <array>
#include <cstddef>

namespace quintet {

// A piece of memory from a BlockPool. Plain data: whoever holds it gives it back, to the pool or,
// when that is gone, to BlockPool::Free().
struct Block {
  char* data = nullptr;
  size_t capacity = 0;
};

// Blocks of powers of two from kSmallest on. Freed blocks are kept up to a bound and used again,
// the one freed last first, since it is still in the cache. Not thread-safe: one per loop.
class BlockPool {
 public:
  // Holds a usual reply, also sixteen pipelined small ones; a page, so that an allocator returns it
  // whole.
  static constexpr size_t kSmallest = 4 << 10;
  // Larger blocks are not kept: they are rare, and kept they would be the peak's memory for ever.
  static constexpr size_t kLargestKept = 256 << 10;
  // Free bytes kept in each size.
  static constexpr size_t kKeptBytesPerSize = 1 << 20;

  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // A block of at least `bytes`.
  Block Take(size_t bytes);
  // Takes `block` back; does nothing with an empty one.
  void Give(Block block);
  // Frees a block whose pool may be gone.
  static void Free(Block block);

  size_t kept_bytes() const;

 private:
  static constexpr size_t kSizes = 7;  // 4 KiB to 256 KiB
  static_assert(kSmallest << (kSizes - 1) == kLargestKept);

  // A free block begins with the address of the next one.
  struct FreeList {
    char* first = nullptr;
    size_t blocks = 0;
  };

  static char* Pop(FreeList& list);

  std::array<FreeList, kSizes> free_;
};

}  // namespace quintet

#endif  // QUINTET_NET_BLOCK_POOL_H_
