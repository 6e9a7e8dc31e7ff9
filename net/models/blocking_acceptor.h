// Accepts on a thread that blocks.
#ifndef QUINTET_NET_MODELS_BLOCKING_ACCEPTOR_H_
#define QUINTET_NET_MODELS_BLOCKING_ACCEPTOR_H_

#include <poll.h>

#include <chrono>
#include <optional>
#include <vector>

#include "net/socket.h"
#include "net/worker_counters.h"
#include "reactor/clock.h"
#include "reactor/log.h"

namespace quintet {

// accept4(2) with what net/listener.h promises: errors of single connections are passed over
// (accept(2), "Error handling"), and out of descriptors or memory it rests, so that clients wait in
// the backlog. An episode is logged once, when it begins. One thread.
class BlockingAcceptor {
 public:
  static constexpr Duration kRetryInterval = std::chrono::milliseconds(100);

  // All references must outlive it; the descriptors stay their owner's.
  BlockingAcceptor(std::vector<int> listening, WorkerCounters& counters, Clock& clock,
                   const LogFunction& log)
      : listening_(std::move(listening)), counters_(counters), clock_(clock), log_(log) {}

  const std::vector<int>& listening() const { return listening_; }

  // Where it rests: until when. kNever: it does not.
  TimePoint rests_until() const { return rests_until_; }
  // Ends a rest whose time has come.
  bool resting();

  // Appends what to wait for; nothing while it rests.
  void AppendTo(std::vector<pollfd>& polled);
  // Accepts from one of those that were found ready, taking turns; the entries may be those of
  // AppendTo() among others. When nobody was there, that is counted.
  std::optional<Socket> AcceptFrom(const std::vector<pollfd>& polled);
  // Accepts from this one, and blocks where it does. A close-on-exec, non-blocking socket; none
  // when nobody was there, or when it rests now.
  std::optional<Socket> Accept(int listening);

  // What ended the last Accept() that brought nothing: EAGAIN, EINTR, EINVAL, ...
  int error() const { return error_; }

 private:
  void Rest();

  const std::vector<int> listening_;
  WorkerCounters& counters_;
  Clock& clock_;
  const LogFunction& log_;
  size_t next_ = 0;  // whose turn it is
  TimePoint rests_until_ = kNever;
  TimePoint quiet_until_ = kPollOnly;  // an error before it belongs to the episode at hand
  int error_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_BLOCKING_ACCEPTOR_H_
