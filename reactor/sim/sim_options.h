// How a simulated network and a simulated backend behave.
#ifndef QUINTET_REACTOR_SIM_SIM_OPTIONS_H_
#define QUINTET_REACTOR_SIM_SIM_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "reactor/clock.h"

namespace quintet {

// Chances are per mille of the occasions named. All zero: well-behaved.
struct SimFaults {
  uint32_t send_now = 0;    // no fault: SendNow() sends, as on the readiness backends
  uint32_t lazy_send = 0;   // no fault: a kSend of StartLazySend() comes late, as on io_uring
  uint32_t short_send = 0;  // a send takes a part only
  uint32_t short_recv = 0;  // a receive brings a part only, often a single byte
  uint32_t late = 0;        // a completion comes up to `late_max` after it could
  Duration late_max{0};
  uint32_t recv_after_stop = 0;   // StopRecv and StopAccept find something already moved
  uint32_t spurious_wake = 0;     // Wait() returns with nothing
  uint32_t late_wake = 0;         // Wait() returns up to `late_max` after its deadline
  uint32_t reset = 0;             // a send breaks the connection: both ends are reset
  uint32_t send_error = 0;        // a send fails, the other direction lives on
  uint32_t file_unreadable = 0;   // a send from a file finds nothing to read
  uint32_t accept_exhausted = 0;  // accept ends with EMFILE, ENFILE, ENOBUFS or ENOMEM
  uint32_t accept_aborted = 0;    // a connection is gone before it is accepted (ECONNABORTED)
  uint32_t connect_refused = 0;   // a connect fails although somebody listens
  bool shuffle = false;           // sources that become ready at once complete in any order

  // Everything that reactor/backend.h allows, often.
  static SimFaults Hostile();
};

struct SimOptions {
  // All chance comes from here: the same seed, the same calls, the same trace.
  uint64_t seed = 1;
  SimFaults faults;
  // From one end of a connection to the other, one way.
  Duration latency = std::chrono::microseconds(100);
  // Added at random to each segment's latency; order within a connection is kept.
  Duration jitter{0};
  // Bytes on their way and not yet read, in each direction of a connection; more are refused with
  // EAGAIN until the receiver has read.
  size_t window_bytes = 64 << 10;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_OPTIONS_H_
