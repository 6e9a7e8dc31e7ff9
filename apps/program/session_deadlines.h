// How long a session of one of the small services may wait, and how long it may last.
#ifndef QUINTET_APPS_PROGRAM_SESSION_DEADLINES_H_
#define QUINTET_APPS_PROGRAM_SESSION_DEADLINES_H_

#include <algorithm>
#include <chrono>

#include "net/session.h"
#include "reactor/clock.h"

namespace quintet::program {

// Zero: none.
struct SessionTimeouts {
  Duration idle = std::chrono::seconds(75);  // between two arrivals, and before the first
  Duration total = Duration::zero();         // from the accept to the end
};

// Keeps both with the one deadline that a transport has. On the session's thread.
class SessionDeadlines {
 public:
  explicit SessionDeadlines(const SessionTimeouts& timeouts) : timeouts_(timeouts) {}

  // For OnOpen().
  void Start(Transport& transport) {
    if (timeouts_.total > Duration::zero()) {
      end_ = AddSaturated(transport.now(), timeouts_.total);
    }
    Restart(transport);
  }
  // Waiting for the peer's bytes begins, anew.
  void Restart(Transport& transport) {
    const TimePoint idle_end =
        timeouts_.idle > Duration::zero() ? AddSaturated(transport.now(), timeouts_.idle) : kNever;
    transport.SetDeadline(std::min(idle_end, end_));
  }
  // Nothing is waited for but that the peer reads, for which the transport has a deadline.
  void Hold(Transport& transport) { transport.SetDeadline(end_); }

  // For OnDeadline(). A peer that was idle is owed nothing and sees end of file, after what output
  // is left; one whose time is over sees a reset.
  void Expire(Transport& transport) {
    if (transport.now() >= end_) return transport.Abort(CloseReason::kDeadline);
    transport.Close();
  }

 private:
  const SessionTimeouts timeouts_;
  TimePoint end_ = kNever;
};

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_SESSION_DEADLINES_H_
