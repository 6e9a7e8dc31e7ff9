#include "reactor/backend_factory.h"

#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "reactor/readiness_backend.h"
#if QUINTET_HAVE_IO_URING
#include "reactor/uring_backend.h"
#endif

namespace quintet {
namespace {

// What kAuto found out in this process: one answer for all shards, and one line of log.
struct AutoMemory {
  std::mutex mutex;
  std::string fallback_reason;
};

AutoMemory& Memory() {
  static AutoMemory memory;
  return memory;
}

absl::StatusOr<std::unique_ptr<Backend>> CreateUring([[maybe_unused]] const BackendOptions& options,
                                                     [[maybe_unused]] Clock& clock) {
#if QUINTET_HAVE_IO_URING
  auto backend = UringBackend::Create(options.uring, options.log, clock);
  if (!backend.ok()) return backend.status();
  return std::unique_ptr<Backend>(*std::move(backend));
#else
  return absl::UnavailableError("io_uring: not built in");
#endif
}

absl::StatusOr<std::unique_ptr<Backend>> CreateAuto(const BackendOptions& options, Clock& clock) {
  {
    AutoMemory& memory = Memory();
    // Held while the ring is tried, so that shards that start together agree.
    const std::lock_guard<std::mutex> lock(memory.mutex);
    if (memory.fallback_reason.empty()) {
      auto backend = CreateUring(options, clock);
      // Sizes that make no sense are the caller's mistake on every kernel.
      if (backend.ok() || absl::IsInvalidArgument(backend.status())) return backend;
      memory.fallback_reason = std::string(backend.status().message());
      if (options.log) {
        options.log(LogLevel::kWarning,
                    absl::StrCat(memory.fallback_reason, "; using epoll_et instead"));
      }
    }
  }
  return ReadinessBackend::Create(BackendKind::kEpollEt, clock);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options,
                                                       Clock& clock) {
  switch (options.kind) {
    case BackendKind::kAuto:
      return CreateAuto(options, clock);
    case BackendKind::kSelect:
    case BackendKind::kPoll:
    case BackendKind::kEpollLt:
    case BackendKind::kEpollEt:
      return ReadinessBackend::Create(options.kind, clock);
    case BackendKind::kIoUring:
      return CreateUring(options, clock);
    case BackendKind::kSim:
      break;
  }
  return absl::InvalidArgumentError("the simulator is made by its test, not chosen by name");
}

std::vector<BackendAvailability> AvailableBackends() {
  std::vector<BackendAvailability> available;
  for (const BackendKind kind : kRealBackends) {
    SteadyClock clock;
    BackendOptions options;
    options.kind = kind;
    options.log = nullptr;
    auto backend = CreateBackend(options, clock);
    absl::Status status = backend.status();
    if (status.ok()) status = (*backend)->BindToThread();
    available.push_back(
        {.kind = kind, .available = status.ok(), .reason = std::string(status.message())});
  }
  return available;
}

std::string AutoFallbackReason() {
  AutoMemory& memory = Memory();
  const std::lock_guard<std::mutex> lock(memory.mutex);
  return memory.fallback_reason;
}

std::string DescribeBackend(BackendKind used, BackendKind asked) {
  std::string text(BackendName(used));
  if (asked != BackendKind::kAuto) return text;
  const std::string reason = AutoFallbackReason();
  return text + (reason.empty() ? " (auto)" : " (auto; " + reason + ")");
}

}  // namespace quintet
