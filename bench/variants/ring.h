// The ring of the floor of io_uring (bench/floors/io_uring.cc), with what some variants change in
// it. The floor keeps its own, so that it can be read in one piece and nothing here can slow it.
#ifndef QUINTET_BENCH_VARIANTS_RING_H_
#define QUINTET_BENCH_VARIANTS_RING_H_

#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "bench/floors/floor.h"
#include "bench/variants/variant.h"

namespace quintet::variants {

inline void* Map(size_t bytes, int fd = -1, off_t offset = 0) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
  if (memory == MAP_FAILED) floors::Die("mmap");
  return memory;
}

class Ring {
 public:
  explicit Ring(Variant variant) : variant_(variant) {
    io_uring_params params = SetUp(kSetupNoSqArray);
    if (fd_ < 0 && errno == EINVAL) params = SetUp(0);  // before Linux 6.6
    if (fd_ < 0) Refuse(variant == Variant::kSqPoll ? "SQPOLL" : "io_uring_setup", errno);
    features_ = params.features;

    const bool has_array = (params.flags & kSetupNoSqArray) == 0;
    const size_t cqes_end = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
    const size_t array_end = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    void* queues =
        Map(has_array ? std::max(cqes_end, array_end) : cqes_end, fd_, IORING_OFF_SQ_RING);
    if (has_array) {
      auto* const array = At<unsigned>(queues, params.sq_off.array);
      for (unsigned i = 0; i < params.sq_entries; ++i) array[i] = i;
    }
    sqes_ = static_cast<io_uring_sqe*>(
        Map(params.sq_entries * sizeof(io_uring_sqe), fd_, IORING_OFF_SQES));
    sq_head_ = At<unsigned>(queues, params.sq_off.head);
    sq_tail_ = At<unsigned>(queues, params.sq_off.tail);
    sq_flags_ = At<unsigned>(queues, params.sq_off.flags);
    cq_head_ = At<unsigned>(queues, params.cq_off.head);
    cq_tail_ = At<unsigned>(queues, params.cq_off.tail);
    cqes_ = At<io_uring_cqe>(queues, params.cq_off.cqes);
    if ((features_ & kFeatureNoIowait) != 0) wait_flags_ |= kEnterNoIowait;

    io_uring_rsrc_update update{};
    update.offset = UINT32_MAX;
    update.data = static_cast<uint32_t>(fd_);
    if (Register(IORING_REGISTER_RING_FDS, &update, 1) != 1) floors::Die("registering the ring");
    enter_fd_ = update.offset;
  }

  uint32_t features() const { return features_; }

  long Register(unsigned opcode, void* argument, unsigned count) {
    return ::syscall(__NR_io_uring_register, fd_, opcode, argument, count);
  }

  io_uring_sqe& NextSqe() {
    while (Full()) MakeRoom();
    io_uring_sqe& sqe = sqes_[tail_++ & (kSqEntries - 1)];
    ++unsubmitted_;
    std::memset(&sqe, 0, sizeof(sqe));
    return sqe;
  }

  void SubmitAndWait() {
    if (variant_ == Variant::kSqPoll) return WakeAndWait();
    if (variant_ == Variant::kMinWait) return Enter(kMinWaitFor, wait_flags_, &min_wait_);
    Enter(1, wait_flags_);
  }

  template <typename Handle>
  void Reap(Handle&& handle) {
    unsigned head = *cq_head_;
    const unsigned tail = std::atomic_ref<unsigned>(*cq_tail_).load(std::memory_order_acquire);
    for (; head != tail; ++head) handle(cqes_[head & (kCqEntries - 1)]);
    std::atomic_ref<unsigned>(*cq_head_).store(head, std::memory_order_release);
  }

 private:
  static constexpr uint32_t kSqEntries = 1024;
  static constexpr uint32_t kCqEntries = 4 * kSqEntries;
  // The kernel's thread spins that long before it sleeps: never under load, and soon enough not to
  // be in the way of whoever is measured next.
  static constexpr uint32_t kSqThreadIdleMs = 10;
  // A minimum wait is for that many completions; once it is over, one is enough.
  static constexpr unsigned kMinWaitFor = 32;
  static constexpr uint32_t kMinWaitUs = 20;

  template <typename T>
  static T* At(void* base, uint32_t offset) {
    return reinterpret_cast<T*>(static_cast<char*>(base) + offset);
  }

  io_uring_params SetUp(uint32_t more_flags) {
    io_uring_params params{};
    params.flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | more_flags;
    if (variant_ == Variant::kSqPoll) {  // its thread completes, so nothing can be deferred to ours
      params.flags |= IORING_SETUP_SQPOLL;
      params.sq_thread_idle = kSqThreadIdleMs;
    } else {
      params.flags |= IORING_SETUP_DEFER_TASKRUN;
    }
    params.cq_entries = kCqEntries;
    fd_ = static_cast<int>(::syscall(__NR_io_uring_setup, kSqEntries, &params));
    return params;
  }

  bool Full() const {
    if (variant_ != Variant::kSqPoll) return unsubmitted_ == kSqEntries;
    return tail_ - std::atomic_ref<unsigned>(*sq_head_).load(std::memory_order_acquire) ==
           kSqEntries;
  }

  void MakeRoom() {
    if (variant_ != Variant::kSqPoll) return Enter(0, IORING_ENTER_REGISTERED_RING);
    const unsigned wake = PublishToThread();
    Enter(0, IORING_ENTER_REGISTERED_RING | IORING_ENTER_SQ_WAIT | wake);
  }

  // Hands over what was written, and says whether the thread sleeps.
  unsigned PublishToThread() {
    // Before the flag is read: else the thread may fall asleep in between, and neither knows.
    std::atomic_ref<unsigned>(*sq_tail_).exchange(tail_, std::memory_order_seq_cst);
    const unsigned flags = std::atomic_ref<unsigned>(*sq_flags_).load(std::memory_order_seq_cst);
    return (flags & IORING_SQ_NEED_WAKEUP) != 0 ? unsigned{IORING_ENTER_SQ_WAKEUP} : 0U;
  }

  // No system call while the thread is awake and there is something to reap: that is its whole
  // gain.
  void WakeAndWait() {
    const unsigned wake = PublishToThread();
    const bool ready =
        std::atomic_ref<unsigned>(*cq_tail_).load(std::memory_order_acquire) != *cq_head_;
    if (wake != 0 || !ready) Enter(1, wait_flags_ | wake);
  }

  void Enter(unsigned wait_for, unsigned flags, io_uring_getevents_arg* argument = nullptr) {
    std::atomic_ref<unsigned>(*sq_tail_).store(tail_, std::memory_order_release);
    if (argument != nullptr) flags |= IORING_ENTER_EXT_ARG;
    const size_t argument_bytes = argument != nullptr ? sizeof(*argument) : 0;
    const long taken = ::syscall(__NR_io_uring_enter, enter_fd_, unsubmitted_, wait_for, flags,
                                 argument, argument_bytes);
    if (taken < 0 && errno == ETIME) return;
    if (taken < 0) return floors::DieUnlessInterrupted("io_uring_enter");
    unsubmitted_ -= static_cast<unsigned>(taken);
  }

  io_uring_getevents_arg MinWait() const {
    io_uring_getevents_arg argument{};
    argument.pad = kMinWaitUs;  // `min_wait_usec` since Linux 6.12
    argument.ts = reinterpret_cast<uintptr_t>(&longest_wait_);
    return argument;
  }

  const Variant variant_;
  int fd_;
  unsigned enter_fd_;
  uint32_t features_;
  unsigned wait_flags_ = IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING;
  unsigned tail_ = 0;
  unsigned unsubmitted_ = 0;
  // Without it the minimum wait ends also when there was no completion: Linux 6.18 then answers
  // ETIME.
  const __kernel_timespec longest_wait_{.tv_sec = 1, .tv_nsec = 0};
  io_uring_getevents_arg min_wait_ = MinWait();
  io_uring_sqe* sqes_;
  unsigned* sq_head_;
  unsigned* sq_tail_;
  unsigned* sq_flags_;
  unsigned* cq_head_;
  unsigned* cq_tail_;
  io_uring_cqe* cqes_;
};

}  // namespace quintet::variants

#endif  // QUINTET_BENCH_VARIANTS_RING_H_
