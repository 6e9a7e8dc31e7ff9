#include "reactor/buffer_ring.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "reactor/asan.h"

namespace quintet {
namespace {

// The tail of the ring lies over a field of entry 0 that the kernel does not read.
static_assert(offsetof(io_uring_buf_ring, tail) == offsetof(io_uring_buf, resv));

constexpr uint32_t kMaxBufferBytes = 1U << 24;

void* MapMemory(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BufferRing>> BufferRing::Create(UringRing& ring, uint32_t count,
                                                               uint32_t bytes) {
  if (!std::has_single_bit(count) || count > kMaxBuffers) {
    return absl::InvalidArgumentError(absl::StrCat("io_uring: recv_buffers is ", count,
                                                   ", not a power of two up to ", kMaxBuffers));
  }
  if (bytes == 0 || bytes > kMaxBufferBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("io_uring: recv_buffer_bytes is ", bytes, ", not in 1 to ", kMaxBufferBytes));
  }
  std::unique_ptr<BufferRing> buffers(new BufferRing(count, bytes));
  buffers->buffers_ = static_cast<std::byte*>(MapMemory(size_t{count} * bytes));
  if (buffers->buffers_ == nullptr) return UringSetupError("mapping receive buffers", errno);
  // Page-aligned, as registering it demands.
  buffers->entries_ = static_cast<io_uring_buf*>(MapMemory(count * sizeof(io_uring_buf)));
  if (buffers->entries_ == nullptr) return UringSetupError("mapping the buffer ring", errno);

  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(buffers->entries_);
  registration.ring_entries = count;
  registration.bgid = kGroup;
  const int error = ring.Register(IORING_REGISTER_PBUF_RING, &registration, 1);
  if (error < 0) return UringSetupError("registering the buffer ring", -error);
  for (uint32_t id = 0; id < count; ++id) buffers->Append(static_cast<uint16_t>(id));
  buffers->Publish();
  AsanPoison(buffers->buffers_, size_t{count} * bytes);
  return buffers;
}

BufferRing::~BufferRing() {
  if (buffers_ != nullptr) {
    AsanUnpoison(buffers_, size_t{count_} * bytes_);
    ::munmap(buffers_, size_t{count_} * bytes_);
  }
  if (entries_ != nullptr) ::munmap(entries_, count_ * sizeof(io_uring_buf));
}

std::span<const std::byte> BufferRing::Take(uint16_t id, size_t length) {
  assert(id < count_ && !taken_[id] && with_kernel_ > 0);
  taken_[id] = true;
  --with_kernel_;
  AsanUnpoison(Buffer(id), length);
  return Data(id, length);
}

std::span<const std::byte> BufferRing::Data(uint16_t id, size_t length) const {
  assert(id < count_ && length <= bytes_ && taken_[id]);
  return {Buffer(id), length};
}

void BufferRing::Return(uint16_t id) {
  assert(id < count_ && taken_[id]);
  taken_[id] = false;
  AsanPoison(Buffer(id), bytes_);
  Append(id);
}

void BufferRing::Append(uint16_t id) {
  io_uring_buf& entry = entries_[tail_ & (count_ - 1)];
  // Field by field: in entry 0 `resv` is the tail.
  entry.addr = reinterpret_cast<uintptr_t>(Buffer(id));
  entry.len = bytes_;
  entry.bid = id;
  ++tail_;
  ++returned_;
}

void BufferRing::Publish() {
  if (returned_ == 0) return;
  std::atomic_ref<uint16_t>(entries_[0].resv).store(tail_, std::memory_order_release);
  with_kernel_ += returned_;
  returned_ = 0;
}

void BufferRing::Validate() const {
  const auto taken = static_cast<uint32_t>(std::count(taken_.begin(), taken_.end(), true));
  if (taken + with_kernel_ + returned_ == count_) return;
  std::fprintf(stderr, "quintet: BufferRing: %u taken, %u with the kernel, %u returned, of %u\n",
               taken, with_kernel_, returned_, count_);
  std::abort();
}

}  // namespace quintet
