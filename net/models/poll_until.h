// poll(2) until a point in time.
#ifndef QUINTET_NET_MODELS_POLL_UNTIL_H_
#define QUINTET_NET_MODELS_POLL_UNTIL_H_

#include <poll.h>

#include <span>

#include "reactor/clock.h"
#include "reactor/poll_timeout.h"

namespace quintet {

// Blocks until one of `polled` is ready, a signal came, or `deadline` (kNever: none) has passed;
// the members `revents` say which were ready, none after a signal or an error. Entries with a
// negative descriptor are passed over.
inline void PollUntil(std::span<pollfd> polled, TimePoint deadline, Clock& clock) {
  for (pollfd& entry : polled) entry.revents = 0;
  const TimePoint now = clock.Now();
  // ppoll(2) for its resolution: poll(2) would round a deadline up to whole milliseconds.
  timespec timeout{};
  if (deadline > now) timeout = ToTimespec(deadline - now);
  ::ppoll(polled.data(), polled.size(), deadline == kNever ? nullptr : &timeout, nullptr);
}

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_POLL_UNTIL_H_
