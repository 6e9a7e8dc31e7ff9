#include "apps/program/start_line.h"

#include <sys/resource.h>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace quintet::program {
namespace {

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

std::string StartLine(const Supervisor& supervisor) {
  const std::string addresses = absl::StrJoin(
      supervisor.addresses(), ", ",
      [](std::string* out, const Address& address) { out->append(address.ToString()); });
  const Service& service = supervisor.service();
  return absl::StrFormat(
      "listening on %s; model reactor; backend %s; %s %d; policy %s; descriptors %s; locked memory "
      "%s",
      addresses, supervisor.backend(), service.kind == WorkerKind::kThread ? "shards" : "processes",
      ShardCount(service.server), std::string(ListenPolicyName(service.server.policy)),
      LimitText(RLIMIT_NOFILE), LimitText(RLIMIT_MEMLOCK));
}

}  // namespace quintet::program
