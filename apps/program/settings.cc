#include "apps/program/settings.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace quintet::hello {
namespace {

using std::chrono::hours;

// Far above any sensible deadline, far below what a clock of 64 bits can add.
constexpr Duration kMaxTimeout = hours(8760);
constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr uint64_t kTiB = 1ull << 40;

// The first four columns of a row.
struct Names {
  const char* table;
  const char* key;
  const char* flag;
  const char* help;
};

template <typename T>
Setting Describe(const Names& names, const ValueType<T>& type) {
  return {.table = names.table,
          .key = names.key,
          .flag = names.flag,
          .help = names.help,
          .placeholder = type.placeholder,
          .allowed = type.allowed,
          .form = type.form,
          .set = nullptr,
          .get = nullptr};
}

// A setting of one value; `field` returns a reference to its place in a configuration.
template <typename T, typename Field>
Setting Row(const Names& names, ValueType<T> type, Field field) {
  Setting setting = Describe(names, type);
  setting.set = [parse = type.parse, field](std::span<const std::string> values, Config& config) {
    if (values.size() != 1) return absl::InvalidArgumentError("is given more than once");
    absl::StatusOr<T> value = parse(values.front());
    if (!value.ok()) return value.status();
    field(config) = *std::move(value);
    return absl::OkStatus();
  };
  setting.get = [print = type.print, field](const Config& config) {
    return std::vector<std::string>{print(field(config))};
  };
  return setting;
}

// A setting of a list of values.
template <typename T, typename Field>
Setting ListRow(const Names& names, ValueType<T> type, Field field) {
  Setting setting = Describe(names, type);
  setting.form = TomlForm::kStringList;
  setting.set = [parse = type.parse, field](std::span<const std::string> values, Config& config) {
    if (values.empty()) return absl::InvalidArgumentError("the list is empty");
    std::vector<T> list;
    for (const std::string& text : values) {
      absl::StatusOr<T> value = parse(text);
      if (!value.ok()) return value.status();
      list.push_back(*std::move(value));
    }
    field(config) = std::move(list);
    return absl::OkStatus();
  };
  setting.get = [print = type.print, field](const Config& config) {
    std::vector<std::string> values;
    for (const T& value : field(config)) values.push_back(print(value));
    return values;
  };
  return setting;
}

// Where a setting lives, for configurations to be read and to be written.
#define QUINTET_FIELD(path) ([](auto& config) -> auto& { return config.path; })

template <typename T>
ValueType<T> Integer(uint64_t min, uint64_t max) {
  return As<T>(IntegerValue({.min = min, .max = max}));
}

template <typename T>
ValueType<T> Size(uint64_t min, uint64_t max) {
  return As<T>(SizeValue(min, max));
}

ValueType<BackendKind> Backend() {
  std::vector<std::pair<std::string, BackendKind>> names = {
      {std::string(BackendName(BackendKind::kAuto)), BackendKind::kAuto}};
  for (const BackendKind kind : kRealBackends) names.emplace_back(BackendName(kind), kind);
  return OneOf(std::move(names));
}

ValueType<ListenPolicy> Policy() {
  std::vector<std::pair<std::string, ListenPolicy>> names;
  for (const ListenPolicy policy : kListenPolicies) {
    names.emplace_back(ListenPolicyName(policy), policy);
  }
  return OneOf(std::move(names));
}

std::vector<Setting> MakeSettings() {
  const ValueType<Duration> timeout = DurationValue(kMaxTimeout);
  const ValueType<size_t> mark = Size<size_t>(1, kGiB);
  return {
      ListRow({"listen", "addresses", "listen",
               "Where to listen; the flag may be repeated, the variable takes commas."},
              AddressValue(), QUINTET_FIELD(server.addresses)),
      Row({"listen", "backlog", "backlog",
           "Connections the kernel may hold ready; it caps this at net.core.somaxconn."},
          Integer<int>(1, 65535), QUINTET_FIELD(server.backlog)),
      Row({"listen", "policy", "listen-policy",
           "How workers share an address: a socket each, one socket of whom one or all are woken, "
           "or "
           "an acceptor that gives to the least loaded."},
          Policy(), QUINTET_FIELD(server.policy)),
      Row({"listen", "steer", "listen-steer",
           "With reuseport: cpu gives a connection to the worker of the core that received it."},
          OneOf<bool>({{"none", false}, {"cpu", true}}), QUINTET_FIELD(server.steer_by_cpu)),
      Row({"listen", "proxy_protocol", "proxy-protocol",
           "Connections begin with a PROXY header, v1 or v2; only behind a proxy that sends it."},
          BooleanValue(), QUINTET_FIELD(server.proxy_protocol)),

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

      Row({"connections", "max_per_shard", "max-connections",
           "Open connections of a shard at which it stops accepting; 0: no limit."},
          Integer<size_t>(0, 10'000'000), QUINTET_FIELD(server.max_connections_per_shard)),
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
      Row({"timeouts", "header", "header-timeout",
           "From the first byte of a request to the end of its header, then 408; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.header)),
      Row({"timeouts", "body", "body-timeout",
           "Between two arrivals of a request's body, then 408; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.body)),
      Row({"timeouts", "request", "request-timeout",
           "From the first byte of a request to its last, and from there to the reply; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.request)),
      Row({"timeouts", "keep_alive", "keep-alive-timeout",
           "Between two requests of a connection, and before the first; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.keep_alive)),
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
           "After SIGTERM or SIGINT, how long /healthz says 503 before connections are refused."},
          timeout, QUINTET_FIELD(server.drain_delay)),

      Row({"http", "max_request_line", "max-request-line", "The request line in bytes, then 414."},
          Size<size_t>(16, kMiB), QUINTET_FIELD(http.limits.request_line_bytes)),
      Row({"http", "max_header", "max-header", "All header fields in bytes, then 431."},
          Size<size_t>(16, 16 * kMiB), QUINTET_FIELD(http.limits.header_bytes)),
      Row({"http", "max_header_count", "max-header-count", "Header fields, then 431."},
          Integer<size_t>(1, 10'000), QUINTET_FIELD(http.limits.header_count)),
      Row({"http", "max_body", "max-body",
           "The body of a request in bytes, then 413; POST /echo has no limit."},
          Size<uint64_t>(0, kTiB), QUINTET_FIELD(http.limits.body_bytes)),
      Row({"http", "max_chunk_line", "max-chunk-line",
           "The size line of a chunk with its extensions in bytes, then 400."},
          Size<size_t>(16, 64 * kKiB), QUINTET_FIELD(http.limits.chunk_line_bytes)),
      Row({"http", "max_requests", "max-requests",
           "Requests of one connection, which is then closed; 0: no limit."},
          Integer<uint64_t>(0, 1'000'000'000), QUINTET_FIELD(http.limits.requests_per_connection)),
      Row({"http", "server_name", "server-name", "The Server field of replies; empty: none."},
          TextValue(256), QUINTET_FIELD(http.server_name)),

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
}

#undef QUINTET_FIELD

bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

}  // namespace

Config DefaultConfig() {
  Config config;
  config.server.addresses = {*Address::Parse("127.0.0.1:8080")};
  return config;
}

std::string Setting::variable() const {
  return "QUINTET_" + absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}}));
}

const std::vector<Setting>& Settings() {
  // Never destroyed: nothing depends on the order in which the program ends.
  static const auto& settings = *new std::vector<Setting>(MakeSettings());
  return settings;
}

const Setting& SettingOfFlag(std::string_view flag) {
  const auto& settings = Settings();
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [flag](const Setting& setting) { return setting.flag == flag; });
  assert(found != settings.end());
  return *found;
}

std::string TomlValue(const Setting& setting, const Config& config) {
  std::vector<std::string> values = setting.get(config);
  switch (setting.form) {
    case TomlForm::kStringList:
      for (std::string& value : values) value = TomlString(value);
      return "[" + absl::StrJoin(values, ", ") + "]";
    case TomlForm::kInteger:
    case TomlForm::kBoolean:
      return values.front();
    case TomlForm::kStringOrInteger:
      return AllDigits(values.front()) ? values.front() : TomlString(values.front());
    case TomlForm::kString:
      return TomlString(values.front());
  }
  return {};
}

std::string PlainValue(const Setting& setting, const Config& config) {
  return absl::StrJoin(setting.get(config), ",");
}

}  // namespace quintet::hello
