// Readiness sets in the kernel's spelling. poll(2), epoll(7) and io_uring's poll use the same bits.
#ifndef QUINTET_REACTOR_POLL_BITS_H_
#define QUINTET_REACTOR_POLL_BITS_H_

#include <poll.h>

#include <cstdint>

#include "reactor/readiness.h"

namespace quintet {

// What to ask for. POLLRDHUP goes with reading: it tells a short read at end of file from one that
// drained the socket.
constexpr uint32_t ToPollBits(Readiness interest) {
  uint32_t bits = 0;
  if (Any(interest & Readiness::kReadable)) bits |= POLLIN | POLLRDHUP;
  if (Any(interest & Readiness::kWritable)) bits |= POLLOUT;
  if (Any(interest & Readiness::kPriority)) bits |= POLLPRI;
  return bits;
}

constexpr Readiness FromPollBits(uint32_t bits) {
  Readiness ready = Readiness::kNone;
  if ((bits & POLLIN) != 0) ready |= Readiness::kReadable;
  if ((bits & POLLOUT) != 0) ready |= Readiness::kWritable;
  if ((bits & POLLPRI) != 0) ready |= Readiness::kPriority;
  if ((bits & POLLRDHUP) != 0) ready |= Readiness::kReadHangup;
  if ((bits & POLLHUP) != 0) ready |= Readiness::kHangup;
  if ((bits & (POLLERR | POLLNVAL)) != 0) ready |= Readiness::kError;
  return ready;
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_POLL_BITS_H_
