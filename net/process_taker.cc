#include "net/process_taker.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace quintet {
namespace {

// The connections that a process has descriptors for, at least one; 0: no limit.
size_t ConnectionLimit(pid_t pid, size_t max_connections, size_t other_descriptors) {
  // The worker's own limit: its program may have set another than it was born with.
  rlimit descriptors;
  if (::prlimit(pid, RLIMIT_NOFILE, nullptr, &descriptors) != 0 ||
      descriptors.rlim_cur == RLIM_INFINITY) {
    return max_connections;
  }
  const size_t reserved = ProcessTaker::kReservedDescriptors + other_descriptors;
  const size_t room = descriptors.rlim_cur > reserved ? descriptors.rlim_cur - reserved : 1;
  return max_connections == 0 ? room : std::min(room, max_connections);
}

}  // namespace

ProcessTaker::ProcessTaker(WorkerProcess& process, const WorkerCounters& counters,
                           size_t max_connections, size_t other_descriptors)
    : Taker(counters, ConnectionLimit(process.pid(), max_connections, other_descriptors)),
      process_(process) {}

bool ProcessTaker::Take(Socket& socket) {
  WorkerMessage message{.type = WorkerMessage::Type::kAdopt, .socket = std::move(socket)};
  const bool sent = process_.channel().TrySend(message);
  if (!sent) socket = std::move(message.socket);
  return sent;
}

}  // namespace quintet
