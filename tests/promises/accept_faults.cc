#include "tests/promises/accept_faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

namespace quintet::testing {
namespace {

// Of IORING_OP_ACCEPT, in ioprio; IORING_ACCEPT_MULTISHOT of newer headers.
constexpr unsigned kAcceptMultishot = 1U << 0;

struct Faults {
  std::vector<int> errors;
  int left = 0;
  size_t next = 0;
};
Faults faults;

// Where the queues of the process' only ring lie, and how the kernel laid them out.
io_uring_params layout;
uint8_t* rings = nullptr;
uint8_t* submissions = nullptr;

// The answer in place of `result`, a descriptor or an error: less than zero, -errno.
int Answer(int result) {
  if (result < 0 || faults.left == 0) return result;
  ::close(result);
  --faults.left;
  return -faults.errors[faults.next++ % faults.errors.size()];
}

void FindQueues() {
  rings = nullptr;
  submissions = nullptr;
  std::FILE* const maps = std::fopen("/proc/self/maps", "r");
  if (maps == nullptr) return;
  char line[512];
  while (std::fgets(line, sizeof(line), maps) != nullptr) {
    uintptr_t begin;
    unsigned long offset;
    if (std::strstr(line, "[io_uring]") == nullptr) continue;
    if (std::sscanf(line, "%lx-%*x %*s %lx", &begin, &offset) != 2) continue;
    if (offset == IORING_OFF_SQ_RING) rings = reinterpret_cast<uint8_t*>(begin);
    if (offset == IORING_OFF_SQES) submissions = reinterpret_cast<uint8_t*>(begin);
  }
  std::fclose(maps);
}

void MakeAcceptsSingle() {
  auto* const sqes = reinterpret_cast<io_uring_sqe*>(submissions);
  for (uint32_t i = 0; i < layout.sq_entries; ++i) {
    if (sqes[i].opcode == IORING_OP_ACCEPT) {
      sqes[i].ioprio &= static_cast<uint16_t>(~kAcceptMultishot);
    }
  }
}

void FailAccepts() {
  // Operation 0 of the low byte of user_data is the accept (reactor/uring_source.h).
  constexpr uint64_t kOperation = 0xff;
  auto* const cqes = reinterpret_cast<io_uring_cqe*>(rings + layout.cq_off.cqes);
  uint32_t head = *reinterpret_cast<unsigned*>(rings + layout.cq_off.head);
  auto& tail = *reinterpret_cast<unsigned*>(rings + layout.cq_off.tail);
  const uint32_t end = std::atomic_ref<unsigned>(tail).load(std::memory_order_acquire);
  for (; head != end; ++head) {
    io_uring_cqe& cqe = cqes[head & (layout.cq_entries - 1)];
    if ((cqe.user_data & kOperation) == 0) cqe.res = Answer(cqe.res);
  }
}

long CallKernel(long number, const long* a) {
  using Function = long (*)(long, ...);
  static std::atomic<Function> libc = nullptr;
  if (libc.load() == nullptr) libc = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "syscall"));
  return libc.load()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // namespace

AcceptFaults::AcceptFaults(std::vector<int> errors, int count) {
  FindQueues();
  faults = {.errors = std::move(errors), .left = count};
}

AcceptFaults::~AcceptFaults() { faults = {}; }

int AcceptFaults::left() const { return faults.left; }

}  // namespace quintet::testing

extern "C" {

int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  const long accepted = ::syscall(SYS_accept4, fd, address, length, flags);
  if (accepted < 0) return -1;
  const int answer = quintet::testing::Answer(static_cast<int>(accepted));
  if (answer < 0) errno = -answer;
  return answer < 0 ? -1 : answer;
}

long syscall(long number, ...) noexcept {
  using namespace quintet::testing;
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  const bool enter = number == SYS_io_uring_enter && faults.left > 0 && rings != nullptr;
  if (enter) MakeAcceptsSingle();
  const long result = CallKernel(number, arguments);
  const int error = errno;
  if (number == SYS_io_uring_setup && result >= 0) {
    layout = *reinterpret_cast<const io_uring_params*>(arguments[1]);
  }
  if (enter) FailAccepts();
  errno = error;
  return result;
}

}  // extern "C"
