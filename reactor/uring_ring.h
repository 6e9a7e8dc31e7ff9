// One io_uring: set-up with what the kernel at hand offers, submission, completion queue.
#ifndef QUINTET_REACTOR_URING_RING_H_
#define QUINTET_REACTOR_URING_RING_H_

#include <liburing.h>
#include <sys/types.h>

#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reactor/backend_factory.h"
#include "reactor/clock.h"

namespace quintet {

// "io_uring: STEP: ENOSYS (Function not implemented)", as Unavailable. A set-up that ran out of
// memory tells the limit that usually is the reason.
absl::Status UringSetupError(const char* step, int error);

// The kernel's side is reached by system calls of its own, not through liburing's queue functions:
// those of version 2.3 write the index array of the submission queue, which does not exist under
// IORING_SETUP_NO_SQARRAY, and they cannot pass IORING_ENTER_NO_IOWAIT. From liburing come the
// structures and the functions that fill in a submission.
//
// Made disabled (IORING_SETUP_R_DISABLED) on any thread; from Enable() on it belongs to the calling
// thread, because IORING_SETUP_SINGLE_ISSUER admits one submitter. Not thread-safe.
class UringRing final {
 public:
  // Sets up a ring with the newest flags the kernel takes, and checks that it can do what the
  // backend needs (Linux 6.0: multishot receive into a provided-buffer ring). Halves the sizes
  // while memory does not suffice: look at sq_entries(). Errors: InvalidArgument for sizes that
  // make no sense, Unavailable with step and errno for everything else.
  static absl::StatusOr<std::unique_ptr<UringRing>> Create(const UringOptions& options);

  // Ends the ring. The kernel finishes what is in flight by itself, without touching the process'
  // memory any more. On the thread of Enable(), or after that thread has ended.
  ~UringRing();
  UringRing(const UringRing&) = delete;
  UringRing& operator=(const UringRing&) = delete;

  // Makes the calling thread the submitter. Once.
  absl::Status Enable();
  // Whether the calling thread is the one of Enable().
  bool OnSubmitterThread() const;
  // For assertions: on that thread, or it has ended.
  bool MayBeUsedHere() const;

  // The next free submission, zeroed, or nullptr when the queue is full. It goes to the kernel with
  // the next Enter() that submits.
  io_uring_sqe* NextSqe();
  // Position of a submission in the queue, below sq_entries(): for memory that must stay in place
  // until the kernel has taken the submission.
  uint32_t IndexOf(const io_uring_sqe* sqe) const { return static_cast<uint32_t>(sqe - sqes_); }
  // Submissions the kernel has not taken yet.
  uint32_t unsubmitted() const { return sqe_tail_ - SqHead(); }
  // Number of a submission since the ring was made (modulo 2^32): that of the last one NextSqe()
  // gave, and of the first one that the kernel has not taken.
  uint32_t last_position() const { return sqe_tail_ - 1; }
  uint32_t untaken_position() const { return SqHead(); }

  struct EnterOptions {
    bool submit = true;
    bool wait = false;                     // for one completion at least
    std::optional<Duration> timeout = {};  // of the wait; not negative
  };
  // One io_uring_enter(2): submits, runs deferred work of the kernel, flushes completions that had
  // overflown, waits. The number of submissions taken, or -errno: -ETIME after the timeout, -EINTR.
  // Where submissions were taken, errors of the wait are not told (io_uring_enter(2)).
  int Enter(const EnterOptions& options);

  // Shows each entry of the completion queue to `look(const io_uring_cqe&)`.
  template <typename Look>
  void Peek(Look&& look) const {
    const uint32_t tail = std::atomic_ref<unsigned>(*cq_tail_).load(std::memory_order_acquire);
    for (uint32_t head = *cq_head_; head != tail; ++head) look(cqes_[head & cq_mask_]);
  }

  // Hands each entry of the completion queue to `handle(const io_uring_cqe&)`, which must not call
  // Enter(), and frees it. Returns how many there were.
  template <typename Handle>
  uint32_t Reap(Handle&& handle) {
    uint32_t head = *cq_head_;
    const uint32_t tail = std::atomic_ref<unsigned>(*cq_tail_).load(std::memory_order_acquire);
    const uint32_t count = tail - head;
    for (; head != tail; ++head) handle(cqes_[head & cq_mask_]);
    std::atomic_ref<unsigned>(*cq_head_).store(head, std::memory_order_release);
    return count;
  }

  // Completions wait inside the kernel because the queue is full.
  bool cq_overflown() const {
    return (std::atomic_ref<unsigned>(*sq_flags_).load(std::memory_order_relaxed) &
            IORING_SQ_CQ_OVERFLOW) != 0;
  }

  // Completions that were lost since the ring was made: the kernel had no memory to keep them.
  uint32_t lost_completions() const {
    return std::atomic_ref<unsigned>(*cq_lost_).load(std::memory_order_relaxed);
  }

  // io_uring_register(2) on this ring: >= 0 or -errno.
  int Register(unsigned opcode, void* argument, unsigned count);

  // Whether the kernel knows an operation (IORING_OP_*).
  bool Supports(int opcode) const { return supported_.test(static_cast<size_t>(opcode)); }

  // Whether Enter() goes by a place in the thread's table of rings, which spares a look-up.
  bool registered() const { return (enter_flags_ & IORING_ENTER_REGISTERED_RING) != 0; }
  uint32_t sq_entries() const { return sq_mask_ + 1; }
  uint32_t cq_entries() const { return cq_mask_ + 1; }
  uint32_t setup_flags() const { return params_.flags; }  // IORING_SETUP_* in force
  uint32_t features() const { return params_.features; }  // IORING_FEAT_*

 private:
  UringRing() = default;

  int SetUp(uint32_t sq_entries, uint32_t cq_entries);
  absl::Status Map();
  absl::Status CheckKernel();
  uint32_t SqHead() const {
    return std::atomic_ref<unsigned>(*sq_head_).load(std::memory_order_acquire);
  }

  static constexpr unsigned kProbedOps = 256;  // as many as an opcode has room for

  int fd_ = -1;
  // What io_uring_enter(2) is given: the descriptor, or its registered index with the flag for it.
  unsigned enter_fd_ = 0;
  unsigned enter_flags_ = 0;
  uint64_t submitter_ = 0;  // number of the thread of Enable()
  pid_t submitter_tid_ = -1;
  io_uring_params params_ = {};
  std::bitset<kProbedOps> supported_;

  void* rings_ = nullptr;
  size_t rings_bytes_ = 0;
  io_uring_sqe* sqes_ = nullptr;
  size_t sqes_bytes_ = 0;

  uint32_t sqe_tail_ = 0;  // ahead of *sq_tail_ by what Enter() has not published
  uint32_t sq_mask_ = 0;
  unsigned* sq_head_ = nullptr;
  unsigned* sq_tail_ = nullptr;
  unsigned* sq_flags_ = nullptr;
  uint32_t cq_mask_ = 0;
  unsigned* cq_head_ = nullptr;
  unsigned* cq_tail_ = nullptr;
  unsigned* cq_lost_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_URING_RING_H_
