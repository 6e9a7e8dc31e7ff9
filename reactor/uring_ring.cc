#include "reactor/uring_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reactor/errno_text.h"
#include "reactor/thread_end.h"

namespace quintet {
namespace {

// What the headers of liburing 2.3 do not know yet. Numbers from include/uapi/linux/io_uring.h.
constexpr uint32_t kSetupNoSqArray = 1U << 16;  // Linux 6.6: no index array before the submissions
constexpr unsigned kEnterNoIowait = 1U << 7;    // Linux 6.15: sleeping does not count as iowait
constexpr uint32_t kFeatureNoIowait = 1U << 17;

constexpr uint32_t kMaxSqEntries = 32768;  // IORING_MAX_ENTRIES of the kernel
constexpr uint32_t kMaxCqEntries = 2 * kMaxSqEntries;

// Never dropped: the backend is built on them, and every kernel it can run on has them.
constexpr uint32_t kBaseFlags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;

// Set-up flags in the order in which they are given up while the kernel answers EINVAL.
struct FlagStep {
  uint32_t drop;
  uint32_t add;
};
constexpr std::array<FlagStep, 5> kFlagSteps = {{
    {kSetupNoSqArray, 0},  // Linux 6.6
    // Linux 6.1. Before it, completions at least do not interrupt the loop.
    {IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN},
    {IORING_SETUP_SINGLE_ISSUER, 0},  // Linux 6.0
    {IORING_SETUP_COOP_TASKRUN, 0},   // Linux 5.19
    {IORING_SETUP_SUBMIT_ALL, 0},     // Linux 5.18
}};

int SysSetup(uint32_t entries, io_uring_params* params) {
  const long result = ::syscall(__NR_io_uring_setup, entries, params);
  return result < 0 ? -errno : static_cast<int>(result);
}

int SysRegister(int fd, unsigned opcode, void* argument, unsigned count) {
  const long result = ::syscall(__NR_io_uring_register, fd, opcode, argument, count);
  return result < 0 ? -errno : static_cast<int>(result);
}

// Names a thread for good: the kernel's numbers, and the addresses behind pthread_self(3), come
// again after a thread has ended.
uint64_t ThreadNumber() {
  static std::atomic<uint64_t> last{0};
  thread_local const uint64_t number = ++last;
  return number;
}

template <typename T>
T* At(void* base, uint32_t offset) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(base) + offset);
}

absl::Status CheckSizes(const UringOptions& options) {
  if (options.sq_entries == 0 || options.sq_entries > kMaxSqEntries) {
    return absl::InvalidArgumentError(absl::StrCat("io_uring: sq_entries is ", options.sq_entries,
                                                   ", not in 1 to ", kMaxSqEntries));
  }
  if (options.cq_entries < options.sq_entries || options.cq_entries > kMaxCqEntries) {
    return absl::InvalidArgumentError(absl::StrCat("io_uring: cq_entries is ", options.cq_entries,
                                                   ", not in sq_entries (", options.sq_entries,
                                                   ") to ", kMaxCqEntries));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status UringSetupError(const char* step, int error) {
  std::string text = absl::StrCat("io_uring: ", step, ": ", ErrnoText(error));
  rlimit limit{};
  if (error == ENOMEM && ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
      limit.rlim_cur != RLIM_INFINITY) {
    absl::StrAppend(&text, "; RLIMIT_MEMLOCK is ", limit.rlim_cur, " bytes");
  }
  return absl::UnavailableError(text);
}

absl::StatusOr<std::unique_ptr<UringRing>> UringRing::Create(const UringOptions& options) {
  if (absl::Status status = CheckSizes(options); !status.ok()) return status;
  std::unique_ptr<UringRing> ring(new UringRing);

  uint32_t sq_entries = std::bit_ceil(options.sq_entries);
  uint32_t cq_entries = std::bit_ceil(options.cq_entries);
  int error = ring->SetUp(sq_entries, cq_entries);
  while (error == -ENOMEM && sq_entries > 1) {
    sq_entries /= 2;
    cq_entries = std::max(cq_entries / 2, sq_entries);
    error = ring->SetUp(sq_entries, cq_entries);
  }
  if (error < 0) return UringSetupError("io_uring_setup", -error);
  if (absl::Status status = ring->CheckKernel(); !status.ok()) return status;
  if (absl::Status status = ring->Map(); !status.ok()) return status;

  // A filter may let set-up pass and forbid the rest. A disabled ring answers EBADFD.
  error = ring->Enter({.submit = false});
  if (error < 0 && error != -EBADFD) return UringSetupError("io_uring_enter", -error);
  return ring;
}

int UringRing::SetUp(uint32_t sq_entries, uint32_t cq_entries) {
  uint32_t flags = kBaseFlags | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                   IORING_SETUP_DEFER_TASKRUN | kSetupNoSqArray;
  for (size_t step = 0;; ++step) {
    params_ = {};
    params_.flags = flags;
    params_.cq_entries = cq_entries;
    const int result = SysSetup(sq_entries, &params_);
    if (result >= 0) {
      fd_ = result;
      enter_fd_ = static_cast<unsigned>(result);
      return 0;
    }
    if (result != -EINVAL || step == kFlagSteps.size()) return result;
    flags = (flags & ~kFlagSteps[step].drop) | kFlagSteps[step].add;
  }
}

// Refuses kernels before 6.0. There is no feature bit for multishot receive; the zero-copy send
// came with the same release and can be probed.
absl::Status UringRing::CheckKernel() {
  std::vector<std::byte> memory(sizeof(io_uring_probe) + kProbedOps * sizeof(io_uring_probe_op));
  auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
  const int error = Register(IORING_REGISTER_PROBE, probe, kProbedOps);
  if (error < 0) return UringSetupError("probing the operations", -error);
  for (unsigned opcode = 0; opcode < kProbedOps; ++opcode) {
    supported_[opcode] = io_uring_opcode_supported(probe, static_cast<int>(opcode)) != 0;
  }
  for (const int opcode :
       {IORING_OP_ACCEPT, IORING_OP_ASYNC_CANCEL, IORING_OP_CONNECT, IORING_OP_POLL_ADD,
        IORING_OP_RECV, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_SEND_ZC}) {
    if (!Supports(opcode)) {
      return absl::UnavailableError(absl::StrCat("io_uring: probing the operations: opcode ",
                                                 opcode,
                                                 " is missing; Linux 6.0 or later is needed"));
    }
  }
  constexpr uint32_t kNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP |
                               IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG;
  if ((params_.features & kNeeded) != kNeeded) {
    return absl::UnavailableError(
        absl::StrCat("io_uring: io_uring_setup: features 0x", absl::Hex(params_.features),
                     " lack one of 0x", absl::Hex(kNeeded), "; Linux 6.0 or later is needed"));
  }
  return absl::OkStatus();
}

absl::Status UringRing::Map() {
  const auto map = [this](size_t bytes, uint64_t offset) {
    return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_,
                  static_cast<off_t>(offset));
  };
  // IORING_FEAT_SINGLE_MMAP: both queues lie in one mapping. Without the index array its offset is
  // 0, and the completions are the last part.
  rings_bytes_ = std::max<size_t>(params_.sq_off.array + params_.sq_entries * sizeof(unsigned),
                                  params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe));
  void* rings = map(rings_bytes_, IORING_OFF_SQ_RING);
  if (rings == MAP_FAILED) return UringSetupError("mapping the queues", errno);
  rings_ = rings;
  sqes_bytes_ = params_.sq_entries * sizeof(io_uring_sqe);
  void* sqes = map(sqes_bytes_, IORING_OFF_SQES);
  if (sqes == MAP_FAILED) return UringSetupError("mapping the submissions", errno);
  sqes_ = static_cast<io_uring_sqe*>(sqes);

  sq_mask_ = params_.sq_entries - 1;
  sq_head_ = At<unsigned>(rings_, params_.sq_off.head);
  sq_tail_ = At<unsigned>(rings_, params_.sq_off.tail);
  sq_flags_ = At<unsigned>(rings_, params_.sq_off.flags);
  cq_mask_ = params_.cq_entries - 1;
  cq_head_ = At<unsigned>(rings_, params_.cq_off.head);
  cq_tail_ = At<unsigned>(rings_, params_.cq_off.tail);
  cq_lost_ = At<unsigned>(rings_, params_.cq_off.overflow);
  cqes_ = At<io_uring_cqe>(rings_, params_.cq_off.cqes);
  sqe_tail_ = *sq_tail_;
  if ((params_.flags & kSetupNoSqArray) == 0) {
    // Submissions are taken in the order of the queue: the array stays the identity for good.
    unsigned* array = At<unsigned>(rings_, params_.sq_off.array);
    for (uint32_t i = 0; i < params_.sq_entries; ++i) array[i] = i;
  }
  return absl::OkStatus();
}

UringRing::~UringRing() {
  if (fd_ < 0) return;
  // The table of registered rings belongs to the thread, 16 places each, and holds a reference. On
  // another thread the owner has ended, and its table with it.
  if (registered() && OnSubmitterThread()) {
    io_uring_rsrc_update update{};
    update.offset = enter_fd_;
    Register(IORING_UNREGISTER_RING_FDS, &update, 1);
  }
  if (sqes_ != nullptr) ::munmap(sqes_, sqes_bytes_);
  if (rings_ != nullptr) ::munmap(rings_, rings_bytes_);
  ::close(fd_);
}

absl::Status UringRing::Enable() {
  const int error = Register(IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (error < 0) return UringSetupError("enabling the ring", -error);
  submitter_ = ThreadNumber();
  submitter_tid_ = ::gettid();
  // Spares the look-up of the descriptor in each enter (Linux 5.18). A thread with 16 rings has no
  // place for another; then the plain descriptor does.
  io_uring_rsrc_update update{};
  update.offset = UINT32_MAX;
  update.data = static_cast<unsigned>(fd_);
  if (Register(IORING_REGISTER_RING_FDS, &update, 1) == 1) {
    enter_fd_ = update.offset;
    enter_flags_ = IORING_ENTER_REGISTERED_RING;
  }
  return absl::OkStatus();
}

bool UringRing::OnSubmitterThread() const { return submitter_ == ThreadNumber(); }

bool UringRing::MayBeUsedHere() const {
  return OnSubmitterThread() || ThreadHasEnded(submitter_tid_);
}

io_uring_sqe* UringRing::NextSqe() {
  if (unsubmitted() == sq_entries()) return nullptr;
  io_uring_sqe* sqe = &sqes_[sqe_tail_ & sq_mask_];
  ++sqe_tail_;
  // Since liburing 2.5 the functions that fill in a submission expect this of whoever hands it out.
  ::memset(sqe, 0, sizeof(*sqe));
  return sqe;
}

int UringRing::Enter(const EnterOptions& options) {
  // IORING_ENTER_GETEVENTS also without waiting: deferred work runs, and overflown completions are
  // flushed, only under it.
  unsigned flags = enter_flags_ | IORING_ENTER_GETEVENTS;
  unsigned to_submit = 0;
  if (options.submit) {
    std::atomic_ref<unsigned>(*sq_tail_).store(sqe_tail_, std::memory_order_release);
    to_submit = unsubmitted();
  }
  if (options.wait && (params_.features & kFeatureNoIowait) != 0) flags |= kEnterNoIowait;

  __kernel_timespec timeout{};
  io_uring_getevents_arg argument{};
  argument.sigmask_sz = _NSIG / 8;
  void* extra = nullptr;
  size_t extra_bytes = _NSIG / 8;
  if (options.wait && options.timeout.has_value()) {
    assert(*options.timeout >= Duration::zero());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*options.timeout);
    timeout.tv_sec = seconds.count();
    timeout.tv_nsec = (*options.timeout - seconds).count();
    argument.ts = reinterpret_cast<uintptr_t>(&timeout);
    flags |= IORING_ENTER_EXT_ARG;
    extra = &argument;
    extra_bytes = sizeof(argument);
  }
  const long result = ::syscall(__NR_io_uring_enter, enter_fd_, to_submit, options.wait ? 1U : 0U,
                                flags, extra, extra_bytes);
  return result < 0 ? -errno : static_cast<int>(result);
}

int UringRing::Register(unsigned opcode, void* argument, unsigned count) {
  return SysRegister(fd_, opcode, argument, count);
}

}  // namespace quintet
