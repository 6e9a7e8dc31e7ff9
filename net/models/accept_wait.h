// How a process waits until one of its sockets has a connection: by each of the classic calls.
#ifndef QUINTET_NET_MODELS_ACCEPT_WAIT_H_
#define QUINTET_NET_MODELS_ACCEPT_WAIT_H_

#include <poll.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "net/models/server_model.h"
#include "net/unique_fd.h"
#include "reactor/clock.h"

namespace quintet {

// Made by the process that waits. One thread.
class AcceptWait {
 public:
  // `fds` stay the caller's. kReusePort waits by poll(2); kBlocking does not wait here. Errors:
  // InvalidArgument (select(2) and a descriptor of FD_SETSIZE or above), ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<AcceptWait>> Create(PreforkAccept kind,
                                                            std::vector<int> fds);

  // Blocks until one of the descriptors is readable, a signal came, or `deadline` has passed.
  // Entries of those that are readable have `revents`; valid until the next call.
  const std::vector<pollfd>& Wait(TimePoint deadline, Clock& clock);

 private:
  AcceptWait(PreforkAccept kind, std::vector<int> fds);

  void Select(const timespec* timeout);
  void Epoll(const timespec* timeout);
  void Mark(int fd);

  const PreforkAccept kind_;
  std::vector<pollfd> polled_;
  UniqueFd epoll_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_ACCEPT_WAIT_H_
