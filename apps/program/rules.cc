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

constexpr std::array<Order, 3> kOrders = {{
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

absl::Status CheckRules(std::span<const Setting> settings, const Config& config,
                        std::span<const std::string> origins) {
  const Describer describe(settings, config, origins);
  for (const Order& order : kOrders) {
    if (order.holds(config)) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("%s %s %s", describe(order.lesser), order.text, describe(order.greater)));
  }

  if (config.server.steer_by_cpu && config.server.policy != ListenPolicy::kReusePort) {
    return absl::InvalidArgumentError(absl::StrFormat("%s needs a socket per worker, but %s",
                                                      describe("listen-steer"),
                                                      describe("listen-policy")));
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
