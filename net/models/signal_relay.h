// Makes a descriptor readable when the process gets a signal.
#ifndef QUINTET_NET_MODELS_SIGNAL_RELAY_H_
#define QUINTET_NET_MODELS_SIGNAL_RELAY_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace quintet {

// By a handler, which any thread of the process may be given: signalfd(2) would need the signal
// blocked in all of them. Several relays may wait for one signal; the former handling is back when
// the last is gone. A relay belongs to the process that made it: one that is forked then has the
// handler still, which puts the former handling back when the signal comes.
class SignalRelay {
 public:
  // Relays at once, in the whole process: three for each server.
  static constexpr size_t kMost = 64;

  // Whether a handler that was there before is called as well.
  enum class Former : uint8_t { kCalled, kSilenced };

  // `value` is added to the eventfd(2) `fd`, which must outlive the relay. Errors:
  // ResourceExhausted, InvalidArgument (no signal that can be caught).
  static absl::StatusOr<std::unique_ptr<SignalRelay>> Create(int signo, int fd, uint64_t value,
                                                             Former former);
  ~SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;

 private:
  SignalRelay(size_t index, int signo) : index_(index), signo_(signo) {}

  const size_t index_;
  const int signo_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_SIGNAL_RELAY_H_
