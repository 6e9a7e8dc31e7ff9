// What a descriptor can be watched for, and what it can be ready for.
#ifndef QUINTET_REACTOR_READINESS_H_
#define QUINTET_REACTOR_READINESS_H_

#include <cstdint>

namespace quintet {

// A set of conditions of a descriptor. As an interest only kReadable, kWritable and kPriority may
// be asked for; the kernel reports the others unasked (POLLHUP and POLLERR cannot be masked,
// poll(2)).
enum class Readiness : uint8_t {
  kNone = 0,
  kReadable = 1 << 0,
  kWritable = 1 << 1,
  kPriority = 1 << 2,    // urgent data, poll(2) POLLPRI
  kReadHangup = 1 << 3,  // the peer has shut down its sending side, POLLRDHUP (not on select)
  kHangup = 1 << 4,      // POLLHUP (select reports it as readable)
  kError = 1 << 5,       // POLLERR (select reports it as readable and writable)
};

constexpr Readiness operator|(Readiness a, Readiness b) {
  return static_cast<Readiness>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b));
}
constexpr Readiness operator&(Readiness a, Readiness b) {
  return static_cast<Readiness>(static_cast<uint8_t>(a) & static_cast<uint8_t>(b));
}
constexpr Readiness operator~(Readiness a) {
  return static_cast<Readiness>(~static_cast<unsigned>(a) & 0x3fU);
}
constexpr Readiness& operator|=(Readiness& a, Readiness b) { return a = a | b; }
constexpr Readiness& operator&=(Readiness& a, Readiness b) { return a = a & b; }
constexpr bool Any(Readiness a) { return a != Readiness::kNone; }

// When a watched condition is reported.
enum class Trigger : uint8_t {
  kLevel,  // in every turn of the loop while the condition holds
  kEdge,   // when the condition begins to hold, or holds anew; select and poll cannot
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_READINESS_H_
