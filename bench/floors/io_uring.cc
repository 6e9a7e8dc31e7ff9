// The floor of io_uring(7): multishot accept, multishot receive into a provided-buffer ring, and
// all replies of a turn submitted by the one system call that also waits for the next receives.
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "bench/floors/floor.h"

namespace quintet::floors {
namespace {

// What Debian 12's kernel headers do not know yet.
constexpr uint32_t kSetupNoSqArray = 1U << 16;   // Linux 6.6
constexpr uint32_t kEnterNoIowait = 1U << 7;     // Linux 6.15
constexpr uint32_t kFeatureNoIowait = 1U << 17;  // Linux 6.15

constexpr uint32_t kSqEntries = 1024;
constexpr uint32_t kCqEntries = 4 * kSqEntries;
// The kernel takes buffers in ring order, so this is also the footprint in the cache.
constexpr uint16_t kBuffers = 256;
constexpr uint32_t kBufferBytes = 4096;
constexpr uint16_t kBufferGroup = 1;

enum class Op : uint32_t { kAccept, kReceive, kSend, kClose };

uint64_t Tag(Op op, int fd) { return static_cast<uint64_t>(op) << 32 | static_cast<uint32_t>(fd); }

void* Map(size_t bytes, int fd = -1, off_t offset = 0) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
  if (memory == MAP_FAILED) Die("mmap");
  return memory;
}

template <typename T>
T* At(void* base, uint32_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(base) + offset);
}

// The ring itself: submission, waiting, completion. No index array before the submissions, hence
// not through the queue functions of liburing 2.3, which always write one.
class Ring {
 public:
  Ring() {
    io_uring_params params = SetUp(kSetupNoSqArray);
    if (fd_ < 0 && errno == EINVAL) params = SetUp(0);  // before Linux 6.6
    if (fd_ < 0) Die("io_uring_setup");

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
    sq_tail_ = At<unsigned>(queues, params.sq_off.tail);
    cq_head_ = At<unsigned>(queues, params.cq_off.head);
    cq_tail_ = At<unsigned>(queues, params.cq_off.tail);
    cqes_ = At<io_uring_cqe>(queues, params.cq_off.cqes);
    if ((params.features & kFeatureNoIowait) != 0) wait_flags_ |= kEnterNoIowait;

    io_uring_rsrc_update update{};
    update.offset = UINT32_MAX;
    update.data = static_cast<uint32_t>(fd_);
    if (Register(IORING_REGISTER_RING_FDS, &update) != 1) Die("registering the ring");
    enter_fd_ = update.offset;
  }

  long Register(unsigned opcode, void* argument) {
    return ::syscall(__NR_io_uring_register, fd_, opcode, argument, 1);
  }

  io_uring_sqe& NextSqe() {
    if (unsubmitted_ == kSqEntries) Enter(0, IORING_ENTER_REGISTERED_RING);
    io_uring_sqe& sqe = sqes_[tail_++ & (kSqEntries - 1)];
    ++unsubmitted_;
    std::memset(&sqe, 0, sizeof(sqe));
    return sqe;
  }

  void SubmitAndWait() { Enter(1, wait_flags_); }

  template <typename Handle>
  void Reap(Handle&& handle) {
    unsigned head = *cq_head_;
    const unsigned tail = std::atomic_ref<unsigned>(*cq_tail_).load(std::memory_order_acquire);
    for (; head != tail; ++head) handle(cqes_[head & (kCqEntries - 1)]);
    std::atomic_ref<unsigned>(*cq_head_).store(head, std::memory_order_release);
  }

 private:
  io_uring_params SetUp(uint32_t more_flags) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | more_flags;
    params.cq_entries = kCqEntries;
    fd_ = static_cast<int>(::syscall(__NR_io_uring_setup, kSqEntries, &params));
    return params;
  }

  void Enter(unsigned wait_for, unsigned flags) {
    std::atomic_ref<unsigned>(*sq_tail_).store(tail_, std::memory_order_release);
    const long taken =
        ::syscall(__NR_io_uring_enter, enter_fd_, unsubmitted_, wait_for, flags, nullptr, 0);
    if (taken < 0) return DieUnlessInterrupted("io_uring_enter");
    unsubmitted_ -= static_cast<unsigned>(taken);
  }

  int fd_;
  unsigned enter_fd_;
  unsigned wait_flags_ = IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING;
  unsigned tail_ = 0;
  unsigned unsubmitted_ = 0;
  io_uring_sqe* sqes_;
  unsigned* sq_tail_;
  unsigned* cq_head_;
  unsigned* cq_tail_;
  io_uring_cqe* cqes_;
};

// The buffers that the kernel receives into.
class Buffers {
 public:
  explicit Buffers(Ring& ring)
      : memory_(static_cast<char*>(Map(size_t{kBuffers} * kBufferBytes))),
        entries_(static_cast<io_uring_buf*>(Map(kBuffers * sizeof(io_uring_buf)))) {
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uintptr_t>(entries_);
    registration.ring_entries = kBuffers;
    registration.bgid = kBufferGroup;
    if (ring.Register(IORING_REGISTER_PBUF_RING, &registration) < 0) Die("registering buffers");
    for (uint16_t id = 0; id < kBuffers; ++id) Return(id);
    Publish();
  }

  const char* Data(uint16_t id) const { return memory_ + size_t{id} * kBufferBytes; }

  void Return(uint16_t id) {
    io_uring_buf& entry = entries_[tail_++ & (kBuffers - 1)];
    // Field by field: in entry 0 `resv` is the tail.
    entry.addr = reinterpret_cast<uintptr_t>(Data(id));
    entry.len = kBufferBytes;
    entry.bid = id;
  }

  void Publish() {
    std::atomic_ref<uint16_t>(entries_[0].resv).store(tail_, std::memory_order_release);
  }

 private:
  char* memory_;
  io_uring_buf* entries_;
  uint16_t tail_ = 0;
};

class Server {
 public:
  Server() : buffers_(ring_) {}

  void Run(int listener) {
    listener_ = listener;
    ArmAccept();
    for (;;) {
      ring_.SubmitAndWait();
      ring_.Reap([this](const io_uring_cqe& cqe) { Handle(cqe); });
      buffers_.Publish();
      // Behind Publish(): a receive that finds no buffer ends at once.
      for (const int fd : to_arm_) ArmReceive(fd);
      to_arm_.clear();
    }
  }

 private:
  void ArmAccept() {
    io_uring_sqe& sqe = ring_.NextSqe();
    sqe.opcode = IORING_OP_ACCEPT;
    sqe.fd = listener_;
    sqe.ioprio = IORING_ACCEPT_MULTISHOT;
    sqe.accept_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    sqe.user_data = Tag(Op::kAccept, listener_);
  }

  void ArmReceive(int fd) {
    io_uring_sqe& sqe = ring_.NextSqe();
    sqe.opcode = IORING_OP_RECV;
    sqe.fd = fd;
    sqe.ioprio = IORING_RECV_MULTISHOT;
    sqe.flags = IOSQE_BUFFER_SELECT;
    sqe.buf_group = kBufferGroup;
    sqe.user_data = Tag(Op::kReceive, fd);
  }

  // MSG_WAITALL lets the kernel finish a short send, so success needs no completion: none is
  // written, and the wait of the turn is for receives.
  void Send(int fd, size_t count) {
    while (count > 0) {
      const size_t now = count < kMaxReplies ? count : kMaxReplies;
      io_uring_sqe& sqe = ring_.NextSqe();
      sqe.opcode = IORING_OP_SEND;
      sqe.fd = fd;
      sqe.addr = reinterpret_cast<uintptr_t>(Replies());
      sqe.len = static_cast<uint32_t>(now * kReply.size());
      sqe.msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
      sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
      sqe.user_data = Tag(Op::kSend, fd);
      count -= now;
    }
  }

  // Replies to what came together with the end of file may still wait to be submitted.
  void CloseBehindSends(int fd) {
    head_counters[static_cast<size_t>(fd)].Reset();
    io_uring_sqe& sqe = ring_.NextSqe();
    sqe.opcode = IORING_OP_CLOSE;
    sqe.fd = fd;
    sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe.user_data = Tag(Op::kClose, fd);
  }

  void Handle(const io_uring_cqe& cqe) {
    const auto fd = static_cast<int>(cqe.user_data & UINT32_MAX);
    const bool goes_on = (cqe.flags & IORING_CQE_F_MORE) != 0;
    switch (static_cast<Op>(cqe.user_data >> 32)) {
      case Op::kAccept:
        if (cqe.res >= kMaxDescriptors) {
          ::close(cqe.res);
        } else if (cqe.res >= 0) {
          ArmReceive(cqe.res);
        }
        if (!goes_on) ArmAccept();
        return;
      case Op::kReceive:
        if (cqe.res > 0) {
          const auto id = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
          const auto bytes = static_cast<size_t>(cqe.res);
          Send(fd, head_counters[static_cast<size_t>(fd)].Count(buffers_.Data(id), bytes));
          buffers_.Return(id);
          if (!goes_on) to_arm_.push_back(fd);
        } else if (cqe.res == -ENOBUFS) {
          to_arm_.push_back(fd);
        } else {
          CloseBehindSends(fd);
        }
        return;
      case Op::kClose:
      case Op::kSend:
        return;  // failed: the connection is broken, and its receive ends
    }
  }

  Ring ring_;
  int listener_ = -1;
  Buffers buffers_;
  std::vector<int> to_arm_;
};

}  // namespace
}  // namespace quintet::floors

int main(int argc, char** argv) {
  // Who says that it listens has its ring.
  quintet::floors::Server server;
  server.Run(quintet::floors::Listen(argc, argv, "io_uring"));
}
