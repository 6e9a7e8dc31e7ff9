#include "apps/program/rules.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/strings/str_format.h"
#include "apps/program/settings.h"

namespace quintet::program {
namespace {

// Two settings that must stand in a certain order.
struct Order {
  std::string_view lesser;  // flags
  std::string_view greater;
  bool (*holds)(const Config& config);
  const char* text;
};

constexpr std::array<Order, 4> kOrders = {{
    {"output-low-mark", "output-high-mark",
     [](const Config& config) {
       return config.server.connection.output_low_mark < config.server.connection.output_high_mark;
     },
     "must be below"},
    {"output-high-mark", "output-cap",
     [](const Config& config) {
       return config.server.connection.output_high_mark <= config.server.connection.output_cap;
     },
     "must not be above"},
    {"uring-sq-entries", "uring-cq-entries",
     [](const Config& config) {
       const UringOptions& uring = config.server.loop.backend.uring;
       return uring.sq_entries <= uring.cq_entries;
     },
     "must not be above"},
    {"min-workers", "max-workers",
     [](const Config& config) { return config.model.min_workers <= config.model.max_workers; },
     "must not be above"},
}};

// Two settings that exclude each other.
struct Conflict {
  std::string_view flag;
  std::string_view other;
  bool (*holds)(const Config& config);  // there is no conflict
  const char* text;
};

constexpr std::array<Conflict, 5> kConflicts = {{
    {"listen-steer", "listen-policy",
     [](const Config& config) {
       return config.model.model != ServerModel::kReactor || !config.server.steer_by_cpu ||
              config.server.policy == ListenPolicy::kReusePort;
     },
     "needs a socket per worker, but"},
    {"listen-steer", "accept",
     [](const Config& config) {
       return config.model.model != ServerModel::kPrefork || !config.server.steer_by_cpu ||
              config.model.prefork_accept == PreforkAccept::kReusePort;
     },
     "needs a socket per worker, but"},
    {"max-workers", "accept",
     [](const Config& config) {
       return config.model.prefork_accept != PreforkAccept::kReusePort ||
              config.model.min_workers == config.model.max_workers;
     },
     "is not min_workers, but nobody else serves what waits at a worker's socket:"},
    {"idle-worker-timeout", "max-workers",
     [](const Config& config) {
       return config.model.idle_worker_timeout > Duration::zero() ||
              config.model.min_workers == config.model.max_workers;
     },
     "would end each process beyond min_workers at once:"},
    {"listen", "accept",
     [](const Config& config) {
       return config.model.model != ServerModel::kPrefork ||
              config.model.prefork_accept != PreforkAccept::kBlocking ||
              config.server.addresses.size() <= 1;
     },
     "is more than the one address that a process can block at:"},
}};

// "listen.backlog = 1024 (default)"
class Describer {
 public:
  Describer(std::span<const Setting> settings, const Config& config,
            std::span<const std::string> origins)
      : settings_(settings), config_(config), origins_(origins) {}

  std::string operator()(std::string_view flag) const {
    const Setting& setting = SettingOfFlag(settings_, flag);
    return absl::StrFormat("%s = %s (%s)", setting.path(), TomlValue(setting, config_),
                           origins_[static_cast<size_t>(&setting - settings_.data())]);
  }

 private:
  const std::span<const Setting> settings_;
  const Config& config_;
  const std::span<const std::string> origins_;
};

}  // namespace

absl::Status CheckRules(const Program& program, const Config& config,
                        std::span<const std::string> origins) {
  const Describer describe(program.settings, config, origins);
  // A configuration that was printed names all settings, so naming one is no mistake by itself.
  for (const Setting& setting : program.settings) {
    if (setting.BelongsTo(config.model.model)) continue;
    if (setting.get(config) == setting.get(program.defaults)) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("%s is for model %s, but %s", describe(setting.flag),
                        ModelNames(setting.models), describe("model")));
  }
  for (const Order& order : kOrders) {
    if (order.holds(config)) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("%s %s %s", describe(order.lesser), order.text, describe(order.greater)));
  }

  for (const Conflict& conflict : kConflicts) {
    if (conflict.holds(config)) continue;
    return absl::InvalidArgumentError(absl::StrFormat("%s %s %s", describe(conflict.flag),
                                                      conflict.text, describe(conflict.other)));
  }

  // With SO_REUSEPORT the kernel would take an address twice without a word. Port 0 is another
  // port each time.
  const std::vector<Address>& addresses = config.server.addresses;
  for (auto address = addresses.begin(); address != addresses.end(); ++address) {
    const bool any_port = !address->is_unix() && address->port() == 0;
    if (any_port || std::find(addresses.begin(), address, *address) == address) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("%s names %s twice", describe("listen"), address->ToString()));
  }
  return absl::OkStatus();
}

}  // namespace quintet::program
