#include "reactor/backend_kind.h"

namespace quintet {

std::string_view BackendName(BackendKind kind) {
  switch (kind) {
    case BackendKind::kAuto:
      return "auto";
    case BackendKind::kSelect:
      return "select";
    case BackendKind::kPoll:
      return "poll";
    case BackendKind::kEpollLt:
      return "epoll_lt";
    case BackendKind::kEpollEt:
      return "epoll_et";
    case BackendKind::kIoUring:
      return "io_uring";
    case BackendKind::kSim:
      return "sim";
  }
  return "unknown";
}

std::optional<BackendKind> ParseBackendKind(std::string_view name) {
  if (name == BackendName(BackendKind::kAuto)) return BackendKind::kAuto;
  for (BackendKind kind : kRealBackends) {
    if (name == BackendName(kind)) return kind;
  }
  return std::nullopt;
}

}  // namespace quintet
