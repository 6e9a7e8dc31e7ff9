#include "apps/program/environment.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "apps/program/nearest.h"

namespace quintet::program {
namespace {

constexpr std::string_view kPrefix = "QUINTET_";
constexpr std::string_view kConfigVariable = "QUINTET_CONFIG";
// One slip of the finger costs 1, two letters swapped cost 2.
constexpr size_t kMistypedDistance = 2;

absl::Status CheckName(const std::string& name, const std::vector<std::string>& known) {
  if (!name.starts_with(kPrefix)) return absl::OkStatus();
  const std::string& nearest = Nearest(name, known);
  const size_t distance = EditDistance(name, nearest);
  if (distance == 0 || distance > kMistypedDistance) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("environment %s: unknown variable; the nearest is %s", name, nearest));
}

}  // namespace

Environment ProcessEnvironment() {
  Environment result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    result.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

absl::StatusOr<EnvironmentSettings> ReadEnvironment(std::span<const Setting> settings,
                                                    const Environment& environment) {
  std::vector<std::string> known = {std::string(kConfigVariable)};
  for (const Setting& setting : settings) known.push_back(setting.variable());
  for (const auto& [name, value] : environment) {
    if (absl::Status status = CheckName(name, known); !status.ok()) return status;
  }

  const auto value_of = [&environment](const std::string& name) {
    const auto found = environment.find(name);
    return found != environment.end() ? found->second : std::string();
  };
  EnvironmentSettings result;
  result.config_file = value_of(std::string(kConfigVariable));
  for (const Setting& setting : settings) {
    const std::string value = value_of(setting.variable());
    if (value.empty()) continue;
    std::vector<std::string> values = {value};
    if (setting.is_list()) values = absl::StrSplit(value, ',');
    const std::string origin = "environment " + setting.variable();
    result.assignments.push_back({&setting, std::move(values), origin, origin});
  }
  return result;
}

}  // namespace quintet::program
