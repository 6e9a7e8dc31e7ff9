#include "apps/program/settings.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <iterator>
#include <utility>

namespace quintet::program {
namespace {

// Far above any sensible deadline, far below what a clock of 64 bits can add.
constexpr Duration kMaxTimeout = std::chrono::hours(8760);
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;

// Where a setting lives, for configurations to be read and to be written.
#define QUINTET_FIELD(path) ([](auto& config) -> auto& { return config.path; })

ValueType<BackendKind> Backend() {
  std::vector<std::pair<std::string, BackendKind>> names = {
      {std::string(BackendName(BackendKind::kAuto)), BackendKind::kAuto}};
  for (const BackendKind kind : kRealBackends) names.emplace_back(BackendName(kind), kind);
  return OneOf(std::move(names));
}

// Values that the library has a list of and a name for each.
template <typename T, size_t N>
ValueType<T> OneOfList(const T (&values)[N], std::string_view (*name)(T)) {
  std::vector<std::pair<std::string, T>> names;
  for (const T value : values) names.emplace_back(name(value), value);
  return OneOf(std::move(names));
}

// What only the models of processes and threads know.
std::vector<Setting> ModelSettings() {
  using enum ServerModel;
  const ValueType<size_t> count = Integer<size_t>(1, ModelOptions::kMostWorkers);
  return {
      ForModels({kFork, kThread},
                Row({"model", "max_children", "max-children",
                     "Processes or threads at once, each of which serves one connection."},
                    count, QUINTET_FIELD(model.max_children))),
      ForModels({kFork, kThread},
                Row({"model", "at_cap", "at-cap",
                     "What becomes of a client beyond max_children: it waits in the backlog, or is "
                     "reset."},
                    OneOfList(kAtCaps, AtCapName), QUINTET_FIELD(model.at_cap))),
      ForModels({kPrefork}, Row({"model", "min_workers", "min-workers",
                                 "Processes that are always there; at most max_workers."},
                                count, QUINTET_FIELD(model.min_workers))),
      ForModels({kPrefork},
                Row({"model", "max_workers", "max-workers",
                     "Processes at most; beyond min_workers one is started when all are busy."},
                    count, QUINTET_FIELD(model.max_workers))),
      ForModels({kPrefork},
                Row({"model", "idle_worker_timeout", "idle-worker-timeout",
                     "A process beyond min_workers that had nothing to do for so long ends."},
                    TimeoutValue(), QUINTET_FIELD(model.idle_worker_timeout))),
      ForModels(
          {kPrefork},
          Row({"model", "accept", "accept",
               "How the processes wait: in accept(2) on one socket, which wakes one; in "
               "select(2), poll(2) or epoll_wait(2) on it, which wakes all; or each at a "
               "socket of its own."},
              OneOfList(kPreforkAccepts, PreforkAcceptName), QUINTET_FIELD(model.prefork_accept))),
  };
}

std::vector<Setting> SharedSettings() {
  const ValueType<Duration> timeout = TimeoutValue();
  const ValueType<size_t> mark = Size<size_t>(1, kGiB);
  std::vector<Setting> settings = {
      ListRow({"listen", "addresses", "listen",
               "Where to listen; the flag may be repeated, the variable takes commas."},
              AddressValue(), QUINTET_FIELD(server.addresses)),
      Row({"listen", "backlog", "backlog",
           "Connections the kernel may hold ready; it caps this at net.core.somaxconn."},
          Integer<int>(1, 65535), QUINTET_FIELD(server.backlog)),
      ForModels({ServerModel::kReactor},
                Row({"listen", "policy", "listen-policy",
                     "How workers share an address: a socket each, one socket of whom one or all "
                     "are woken, or an acceptor that gives to the least loaded."},
                    OneOfList(kListenPolicies, ListenPolicyName), QUINTET_FIELD(server.policy))),
      ForModels(
          {ServerModel::kReactor, ServerModel::kPrefork},
          Row({"listen", "steer", "listen-steer",
               "With reuseport: cpu gives a connection to the worker of the core that received "
               "it."},
              OneOf<bool>({{"none", false}, {"cpu", true}}), QUINTET_FIELD(server.steer_by_cpu))),
      Row({"listen", "proxy_protocol", "proxy-protocol",
           "Connections begin with a PROXY header, v1 or v2; only behind a proxy that sends it."},
          BooleanValue(), QUINTET_FIELD(server.proxy_protocol)),

      Row({"server", "model", "model",
           "How the work is divided: event loops; one connection at a time; a process or a thread "
           "for each connection; or processes made in advance."},
          OneOfList(kServerModels, ServerModelName), QUINTET_FIELD(model.model)),

      Row({"reactor", "backend", "backend",
           "How the kernel is asked; auto is io_uring where it works, else epoll_et."},
          Backend(), QUINTET_FIELD(server.loop.backend.kind)),
      Row({"reactor", "max_completions", "max-completions",
           "I/O completions of one turn of the loop, so that timers and tasks get theirs."},
          Integer<size_t>(1, 1'000'000), QUINTET_FIELD(server.loop.max_completions_per_turn)),
      Row({"reactor", "max_timers", "max-timers",
           "Timers of one turn of the loop, so that I/O gets its own."},
          Integer<size_t>(1, 1'000'000), QUINTET_FIELD(server.loop.max_timers_per_turn)),

      Row({"io_uring", "sq_entries", "uring-sq-entries",
           "Submissions gathered before one system call must hand them over."},
          Integer<uint32_t>(1, 32768), QUINTET_FIELD(server.loop.backend.uring.sq_entries)),
      Row({"io_uring", "cq_entries", "uring-cq-entries",
           "Completions the kernel can hold; at least as many as sq_entries."},
          Integer<uint32_t>(2, 65536), QUINTET_FIELD(server.loop.backend.uring.cq_entries)),
      Row({"io_uring", "recv_buffers", "uring-recv-buffers",
           "Receive buffers of a shard, shared by its connections."},
          As<uint32_t>(IntegerValue({.min = 2, .max = 32768, .power_of_two = true})),
          QUINTET_FIELD(server.loop.backend.uring.recv_buffers)),
      Row({"io_uring", "recv_buffer_bytes", "uring-recv-buffer-bytes",
           "The size of each receive buffer."},
          Size<uint32_t>(64, kMiB), QUINTET_FIELD(server.loop.backend.uring.recv_buffer_bytes)),

      Row({"workers", "kind", "worker-kind",
           "Whether the workers are threads, or processes that one crash does not end together."},
          OneOf<WorkerKind>({{"thread", WorkerKind::kThread}, {"process", WorkerKind::kProcess}}),
          QUINTET_FIELD(worker_kind)),
      Row({"workers", "count", "shards",
           "Workers, each with an event loop of its own; auto is one per usable core."},
          As<int>(IntegerValue({.min = 1, .max = 1024, .zero_is_auto = true})),
          QUINTET_FIELD(server.shards)),
      Row({"workers", "pin", "pin", "Pins each worker to a core, where there are several."},
          BooleanValue(), QUINTET_FIELD(server.pin)),
      Row({"workers", "start_timeout", "start-timeout",
           "A worker that is not ready after so long is started again, or refuses the reload."},
          timeout, QUINTET_FIELD(start_timeout)),

      ForModels(
          {ServerModel::kReactor},
          Row({"connections", "max_per_shard", "max-connections",
               "Open connections of a shard at which it stops accepting; 0: no limit."},
              Integer<size_t>(0, 10'000'000), QUINTET_FIELD(server.max_connections_per_shard))),
      Row({"connections", "output_high_mark", "output-high-mark",
           "Waiting output of a connection above which nothing more is received."},
          mark, QUINTET_FIELD(server.connection.output_high_mark)),
      Row({"connections", "output_low_mark", "output-low-mark",
           "Waiting output at which receiving goes on; below output_high_mark."},
          mark, QUINTET_FIELD(server.connection.output_low_mark)),
      Row({"connections", "output_cap", "output-cap",
           "Waiting output at which a connection is aborted; not below output_high_mark."},
          mark, QUINTET_FIELD(server.connection.output_cap)),
      Row({"connections", "linger_cap", "linger-cap",
           "Input discarded at most from a peer that goes on sending after the last reply."},
          Size<size_t>(0, kGiB), QUINTET_FIELD(server.connection.linger_cap)),

      Row({"timeouts", "proxy_header", "proxy-header-timeout",
           "From the accept to the end of the PROXY header, then a reset; 0s: none."},
          timeout, QUINTET_FIELD(server.proxy_header_timeout)),
      Row({"timeouts", "write_stall", "write-stall-timeout",
           "How long a peer may take nothing of its waiting output; 0s: for ever."},
          timeout, QUINTET_FIELD(server.connection.write_stall_timeout)),
      Row({"timeouts", "linger", "linger-timeout",
           "How long input is discarded after the last reply, until the peer closes."},
          timeout, QUINTET_FIELD(server.connection.linger_timeout)),
      Row({"timeouts", "drain", "drain-timeout",
           "From the end of drain_delay until idle connections are closed, unfinished ones "
           "aborted."},
          timeout, QUINTET_FIELD(server.drain_timeout)),
      Row({"timeouts", "drain_delay", "drain-delay",
           "After SIGTERM or SIGINT, how long connections are still accepted; hello's /healthz "
           "says "
           "503 meanwhile."},
          timeout, QUINTET_FIELD(server.drain_delay)),

      Row({"process", "daemon", "daemon",
           "Leaves the terminal once everything is ready; the command ends with 0 then, else 1."},
          BooleanValue(), QUINTET_FIELD(process.daemon)),
      Row({"process", "pid_file", "pid-file",
           "Holds the process id, and is locked, while the server runs; empty: none."},
          PathValue(), QUINTET_FIELD(process.pid_file)),
      Row({"process", "log_file", "log-file",
           "Where standard error goes, opened again at each reload; empty: where it went before."},
          PathValue(), QUINTET_FIELD(process.log_file)),
  };
  for (Setting& setting : settings) {
    const std::string& table = setting.table;
    if (table == "reactor" || table == "io_uring" || table == "workers") {
      setting.models = {ServerModel::kReactor};
    }
  }
  // Behind [workers].
  std::vector<Setting> model = ModelSettings();
  const auto place = std::find_if(settings.begin(), settings.end(), [](const Setting& setting) {
    return setting.table == "connections";
  });
  settings.insert(place, std::make_move_iterator(model.begin()),
                  std::make_move_iterator(model.end()));
  return settings;
}

#undef QUINTET_FIELD

}  // namespace

std::vector<Setting> SettingsWith(std::vector<Setting> own) {
  std::vector<Setting> result;
  const auto take = [&](const auto& belongs) {
    for (Setting& setting : own) {
      if (!setting.table.empty() && belongs(setting)) {
        result.push_back(std::exchange(setting, {}));
      }
    }
  };
  std::vector<Setting> shared = SharedSettings();
  for (Setting& setting : shared) {
    const std::string& table = setting.table;
    if (result.empty() || result.back().table != table) {
      if (table == "process") take([&](const Setting& each) { return each.table != table; });
      take([&](const Setting& each) { return each.table == table; });
    }
    result.push_back(std::move(setting));
  }
  return result;
}

ValueType<Duration> TimeoutValue() { return DurationValue(kMaxTimeout); }

const Setting& SettingOfFlag(std::span<const Setting> settings, std::string_view flag) {
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [flag](const Setting& setting) { return setting.flag == flag; });
  assert(found != settings.end());
  return *found;
}

}  // namespace quintet::program
