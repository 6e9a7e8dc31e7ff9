// The buffers that the kernel receives into: a provided-buffer ring, in the forms of the variants.
#ifndef QUINTET_BENCH_VARIANTS_BUFFERS_H_
#define QUINTET_BENCH_VARIANTS_BUFFERS_H_

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>

#include "bench/variants/ring.h"
#include "bench/variants/variant.h"

namespace quintet::variants {

class Buffers {
 public:
  static constexpr uint16_t kGroup = 1;

  Buffers(Ring& ring, Variant variant)
      : incremental_(variant == Variant::kIncremental),
        bundle_(variant == Variant::kBundle),
        count_(incremental_ ? kPoolBytes / kLargeBytes : kMaxBuffers),
        bytes_(incremental_ ? kLargeBytes : kSmallBytes),
        memory_(static_cast<char*>(variant == Variant::kHugePages ? MapHuge() : Map(kPoolBytes))),
        entries_(static_cast<io_uring_buf*>(Map(kMaxBuffers * sizeof(io_uring_buf)))) {
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uintptr_t>(entries_);
    registration.ring_entries = count_;
    registration.bgid = kGroup;
    if (incremental_) registration.pad = kBufferRingIncremental;  // `flags` since Linux 6.4
    if (ring.Register(IORING_REGISTER_PBUF_RING, &registration, 1) < 0) {
      Refuse(incremental_ ? "incremental buffers" : "a buffer ring", errno);
    }
    for (uint16_t id = 0; id < count_; ++id) Return(id);
    Publish();
  }

  // Shows `use` the bytes of a receive, in one piece or several, and takes its buffers back.
  template <typename Use>
  void Take(const io_uring_cqe& cqe, Use&& use) {
    const auto id = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    const auto received = static_cast<size_t>(std::max(cqe.res, 0));
    if (bundle_) return TakeBundle(id, received, use);
    if (incremental_) return TakePart(id, received, (cqe.flags & kCqeBufferMore) != 0, use);
    use(Data(id), received);
    Return(id);
  }

  void Publish() {
    if (bundle_) {
      for (uint16_t id = Next(); returned_[id]; id = Next()) {
        returned_[id] = false;
        Return(id);
      }
    }
    std::atomic_ref<uint16_t>(entries_[0].resv).store(tail_, std::memory_order_release);
  }

 private:
  static constexpr size_t kPoolBytes = size_t{1} << 20;
  static constexpr uint32_t kSmallBytes = 4096;
  // The kernel fills a buffer with many receives before it goes on to the next.
  static constexpr uint32_t kLargeBytes = 65536;
  static constexpr uint16_t kMaxBuffers = kPoolBytes / kSmallBytes;
  static constexpr size_t kHugePageBytes = size_t{2} << 20;

  // The buffers in one huge page: a reserved one, else one the kernel puts together. Says which.
  static void* MapHuge() {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void* reserved = ::mmap(nullptr, kHugePageBytes, PROT_READ | PROT_WRITE,
                            flags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
    if (reserved != MAP_FAILED) {
      std::fputs("ring_floor: buffers in a page of MAP_HUGETLB\n", stderr);
      return reserved;
    }
    auto address = reinterpret_cast<uintptr_t>(Map(2 * kHugePageBytes));
    address = (address + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
    void* aligned = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
    if (::madvise(aligned, kHugePageBytes, MADV_HUGEPAGE) != 0) Refuse("MADV_HUGEPAGE", errno);
    *static_cast<volatile char*>(aligned) = 0;
    if (!HasHugePage()) Refuse("a huge page", ENOMEM);  // advice may be ignored
    std::fputs("ring_floor: buffers in a page of MADV_HUGEPAGE\n", stderr);
    return aligned;
  }

  static bool HasHugePage() {
    std::ifstream file("/proc/self/smaps_rollup");
    for (std::string word; file >> word;) {
      size_t kib = 0;
      if (word == "AnonHugePages:" && file >> kib) return kib > 0;
    }
    return false;
  }

  const char* Data(uint16_t id) const { return memory_ + size_t{id} * bytes_; }

  void Return(uint16_t id) {
    io_uring_buf& entry = entries_[tail_++ & (count_ - 1)];
    // Field by field: in entry 0 `resv` is the tail.
    entry.addr = reinterpret_cast<uintptr_t>(Data(id));
    entry.len = bytes_;
    entry.bid = id;
  }

  uint16_t Next() const { return tail_ & (count_ - 1); }

  // A bundle names its first buffer and goes on in the order of the ring. Publish() keeps that the
  // order of the numbers, so the one behind is the next number.
  template <typename Use>
  void TakeBundle(uint16_t id, size_t received, Use&& use) {
    do {
      const size_t piece = std::min<size_t>(received, bytes_);
      use(Data(id), piece);
      returned_[id] = true;
      received -= piece;
      id = (id + 1) & (count_ - 1);
    } while (received > 0);
  }

  template <typename Use>
  void TakePart(uint16_t id, size_t received, bool more, Use&& use) {
    use(Data(id) + used_[id], received);
    used_[id] += static_cast<uint32_t>(received);
    if (more) return;
    used_[id] = 0;
    Return(id);
  }

  const bool incremental_;
  const bool bundle_;
  const uint16_t count_;
  const uint32_t bytes_;
  char* const memory_;
  io_uring_buf* const entries_;
  uint16_t tail_ = 0;
  std::array<bool, kMaxBuffers> returned_{};  // bundles: since the last Publish()
  std::array<uint32_t, kMaxBuffers> used_{};  // incremental: bytes that were taken already
};

}  // namespace quintet::variants

#endif  // QUINTET_BENCH_VARIANTS_BUFFERS_H_
