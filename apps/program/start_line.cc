#include "apps/program/start_line.h"

#include <sys/resource.h>

#include <vector>

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

std::string ListeningText(const std::vector<Address>& addresses) {
  return "listening on " +
         absl::StrJoin(addresses, ", ",
                       [](std::string* out, const Address& each) { out->append(each.ToString()); });
}

// The limits of the process that decide how many connections fit.
std::string LimitsText() {
  return absl::StrFormat("descriptors %s; locked memory %s", LimitText(RLIMIT_NOFILE),
                         LimitText(RLIMIT_MEMLOCK));
}

// How many serve at once, and how they are found; empty where there is nothing to say.
std::string WorkersText(const ModelOptions& options) {
  switch (options.model) {
    case ServerModel::kReactor:
    case ServerModel::kIterative:
      return "";
    case ServerModel::kFork:
      return absl::StrFormat("; children at most %u, then %s", options.max_children,
                             std::string(AtCapName(options.at_cap)));
    case ServerModel::kThread:
      return absl::StrFormat("; threads at most %u, then %s", options.max_children,
                             std::string(AtCapName(options.at_cap)));
    case ServerModel::kPrefork:
      return absl::StrFormat("; processes %u to %u; accept %s", options.min_workers,
                             options.max_workers,
                             std::string(PreforkAcceptName(options.prefork_accept)));
  }
  return "";
}

}  // namespace

std::string StartLine(const Supervisor& supervisor) {
  const Service& service = supervisor.service();
  return absl::StrFormat("%s; model reactor; backend %s; %s %d; policy %s; %s",
                         ListeningText(supervisor.addresses()), supervisor.backend(),
                         service.kind == WorkerKind::kThread ? "shards" : "processes",
                         ShardCount(service.server),
                         std::string(ListenPolicyName(service.server.policy)), LimitsText());
}

std::string StartLine(const ModelServer& server, const ModelOptions& options) {
  return absl::StrFormat("%s; model %s%s; %s", ListeningText(server.addresses()),
                         std::string(ServerModelName(options.model)), WorkersText(options),
                         LimitsText());
}

}  // namespace quintet::program
