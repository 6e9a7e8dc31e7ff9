// The loop's receive buffers, handed to the kernel through a provided-buffer ring (Linux 5.19):
// a buffer is taken when bytes arrive, so an idle connection owns none.
#ifndef QUINTET_REACTOR_BUFFER_RING_H_
#define QUINTET_REACTOR_BUFFER_RING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "reactor/uring_ring.h"

namespace quintet {

// Each buffer is in one of three places: with the kernel, taken (its bytes are being looked at), or
// returned, which means it goes back to the kernel with the next Publish(). Must outlive the ring
// it is registered with. Not thread-safe.
class BufferRing final {
 public:
  static constexpr uint16_t kGroup = 0;           // sqe->buf_group
  static constexpr uint32_t kMaxBuffers = 32768;  // io_uring_register_buf_ring(3)

  // Registers `count` buffers (a power of two) of `bytes` each with `ring`. All are the kernel's to
  // begin with. Errors: InvalidArgument, Unavailable with step and errno.
  static absl::StatusOr<std::unique_ptr<BufferRing>> Create(UringRing& ring, uint32_t count,
                                                            uint32_t bytes);
  ~BufferRing();
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;

  // The kernel filled `length` bytes of buffer `id`. Builds with AddressSanitizer let nobody touch
  // a buffer that is not taken; the kernel's writes are not checked by it.
  std::span<const std::byte> Take(uint16_t id, size_t length);
  // The bytes of a buffer that was taken.
  std::span<const std::byte> Data(uint16_t id, size_t length) const;
  void Return(uint16_t id);
  // Shows the kernel all that was returned, with one store.
  void Publish();

  uint32_t count() const { return count_; }
  // With the kernel as of the last Publish(), as far as its completions tell.
  uint32_t with_kernel() const { return with_kernel_; }
  uint32_t returned() const { return returned_; }
  uint32_t taken() const { return count_ - with_kernel_ - returned_; }
  // The three places are disjoint and complete; ends the process otherwise.
  void Validate() const;

 private:
  BufferRing(uint32_t count, uint32_t bytes) : count_(count), bytes_(bytes), taken_(count) {}

  std::byte* Buffer(uint16_t id) const { return buffers_ + size_t{id} * bytes_; }
  void Append(uint16_t id);

  const uint32_t count_;
  const uint32_t bytes_;
  io_uring_buf* entries_ = nullptr;  // shared with the kernel
  std::byte* buffers_ = nullptr;
  uint16_t tail_ = 0;  // ahead of the shared one by `returned_`
  uint32_t with_kernel_ = 0;
  uint32_t returned_ = 0;
  std::vector<bool> taken_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_BUFFER_RING_H_
