// The private seam below the readiness adapter: one system call interface that reports readiness.
#ifndef QUINTET_REACTOR_POLLER_H_
#define QUINTET_REACTOR_POLLER_H_

#include <cstdint>
#include <vector>

#include "reactor/backend_kind.h"
#include "reactor/clock.h"
#include "reactor/readiness.h"

namespace quintet {

// One descriptor found ready. `token` is what Update() was given for it.
struct ReadyEvent {
  uint64_t token;
  Readiness ready;
};

// Knows system calls and nothing else: no sources, no retries, no fairness. Implementations keep
// the set of descriptors between calls. Errors are -errno. Loop's thread only.
class Poller {
 public:
  virtual ~Poller() = default;

  virtual BackendKind kind() const = 0;
  // Whether registrations report edges unless told otherwise.
  virtual bool edge_triggered() const = 0;
  // Whether Trigger::kEdge can be asked for.
  virtual bool has_edges() const = 0;
  // System calls that one Update() makes.
  virtual int update_syscalls() const = 0;

  // 0 if the poller can watch this descriptor at all; -EINVAL where its number is too large.
  virtual int CheckFd(int fd) const = 0;

  // Changes what is reported for `fd` from `registered` (kNone: nothing, the descriptor is not in
  // the set) to `wanted` (kNone: take it out). 0 or -errno; on error nothing has changed.
  virtual int Update(int fd, Readiness registered, Readiness wanted, Trigger trigger,
                     uint64_t token) = 0;

  // Adds a listening socket, not in the set yet, to be reported while readable, level-triggered,
  // such that of several pollers watching it as few as possible are woken for one connection. Taken
  // out by Update(). 0 or -errno.
  virtual int AddExclusive(int fd, uint64_t token) {
    return Update(fd, Readiness::kNone, Readiness::kReadable, Trigger::kLevel, token);
  }

  // Blocks until a descriptor is ready or `timeout` is over (negative: no limit, zero: not at all)
  // and replaces the contents of `*ready` with what it found. 0, or -errno with `*ready` empty;
  // -EINTR is left to the caller.
  virtual int Wait(Duration timeout, std::vector<ReadyEvent>* ready) = 0;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_POLLER_H_
