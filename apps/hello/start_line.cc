#include "apps/hello/start_line.h"

#include <sys/resource.h>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace quintet::hello {
namespace {

std::string BackendText(const Server& server, const Config& config) {
  std::string text(BackendName(server.backend()));
  if (config.server.loop.backend.kind != BackendKind::kAuto) return text;
  const std::string reason = AutoFallbackReason();
  return text + (reason.empty() ? " (auto)" : " (auto; " + reason + ")");
}

// "1024 of 4096 bytes": the limit in force, and up to where the process may raise it.
std::string LimitText(int resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return "unknown";
  const auto print = [](rlim_t value) {
    return value == RLIM_INFINITY ? std::string("unlimited") : std::to_string(value);
  };
  return limit.rlim_cur == limit.rlim_max
             ? print(limit.rlim_cur)
             : print(limit.rlim_cur) + " (hard " + print(limit.rlim_max) + ")";
}

}  // namespace

std::string StartLine(const Server& server, const Config& config) {
  const std::string addresses = absl::StrJoin(
      server.addresses(), ", ",
      [](std::string* out, const Address& address) { out->append(address.ToString()); });
  return absl::StrFormat(
      "listening on %s; model reactor; backend %s; shards %d; descriptors %s; locked memory %s",
      addresses, BackendText(server, config), server.shards(), LimitText(RLIMIT_NOFILE),
      LimitText(RLIMIT_MEMLOCK));
}

}  // namespace quintet::hello
