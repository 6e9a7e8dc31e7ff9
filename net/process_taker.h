// Gives accepted connections to a worker process.
#ifndef QUINTET_NET_PROCESS_TAKER_H_
#define QUINTET_NET_PROCESS_TAKER_H_

#include <cstddef>

#include "net/acceptor.h"
#include "net/socket.h"
#include "net/worker_counters.h"
#include "net/worker_process.h"

namespace quintet {

// Over its channel, as SCM_RIGHTS. A descriptor for which the receiver has no room is dropped by
// the kernel, and its connection with it (unix(7), MSG_CTRUNC): so the taker is full before the
// worker has reached its RLIMIT_NOFILE, and connections wait where they can.
class ProcessTaker final : public Acceptor::Taker {
 public:
  // Descriptors kept free for what a worker has open besides connections, listening sockets and
  // what it was told to keep: three standard streams, its channel, and five or fewer of its loop;
  // for what a program opens for a while; and for the few connections that a drain gives away above
  // the limit. Sessions that open descriptors of their own need a `max_connections`.
  static constexpr size_t kReservedDescriptors = 32;

  // `max_connections` 0: no limit but that of the descriptors, of which the worker has
  // `other_descriptors` more open. Both references must outlive the taker.
  ProcessTaker(WorkerProcess& process, const WorkerCounters& counters, size_t max_connections,
               size_t other_descriptors);

 protected:
  bool Take(Socket& socket) override;

 private:
  WorkerProcess& process_;
};

}  // namespace quintet

#endif  // QUINTET_NET_PROCESS_TAKER_H_
