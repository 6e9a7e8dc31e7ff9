// Makes the backend that a configuration asks for, and tells which ones work on this machine.
#ifndef QUINTET_REACTOR_BACKEND_FACTORY_H_
#define QUINTET_REACTOR_BACKEND_FACTORY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "reactor/backend.h"
#include "reactor/backend_kind.h"
#include "reactor/clock.h"
#include "reactor/log.h"

namespace quintet {

// Sizes of an io_uring. The defaults suit one loop with some thousand active connections.
struct UringOptions {
  uint32_t sq_entries = 256;  // submissions gathered before one enter must flush them
  // Completions the kernel can hold; a full queue ends multishot operations (they are armed
  // again, at a cost), so it is generous.
  uint32_t cq_entries = 4096;
  // Buffers of the provided-buffer ring (a power of two, at most 32768) and the size of each.
  // The kernel takes them in turn, so their product is what the receive path keeps in the cache.
  uint32_t recv_buffers = 256;
  uint32_t recv_buffer_bytes = 4096;
};

struct BackendOptions {
  BackendKind kind = BackendKind::kAuto;
  UringOptions uring;
  LogFunction log = LogToStderr;  // fall-back and exhaustion, once per episode
};

// A backend of the asked kind. kAuto takes io_uring, or epoll_et where the ring cannot be set up;
// it tries the ring once per process, logs the reason once, and remembers it. An explicit kind is
// that kind or an error: Unavailable with backend, step and errno. `clock` must outlive it.
absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options, Clock& clock);

// Whether one backend works here.
struct BackendAvailability {
  BackendKind kind;
  bool available;
  std::string reason;  // why not; empty where available
};

// All five, in the order of kRealBackends. Sets up each once and tears it down again.
std::vector<BackendAvailability> AvailableBackends();

// Why kAuto did not take io_uring in this process, as logged; empty while it has, or has not been
// asked. Any thread.
std::string AutoFallbackReason();

// What a start line says of the backend in use, where `asked` was configured: "epoll_et", "io_uring
// (auto)", "epoll_et (auto; REASON)". Any thread.
std::string DescribeBackend(BackendKind used, BackendKind asked);

}  // namespace quintet

#endif  // QUINTET_REACTOR_BACKEND_FACTORY_H_
