#include "apps/program/load.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "apps/program/config_file.h"
#include "apps/program/rules.h"

namespace quintet::hello {
namespace {

absl::Status Apply(const std::vector<Assignment>& assignments, LoadedConfig& loaded) {
  for (const Assignment& assignment : assignments) {
    const Setting& setting = *assignment.setting;
    if (absl::Status status = setting.set(assignment.values, loaded.config); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s: %s; allowed: %s", assignment.subject,
                                                        std::string(status.message()),
                                                        setting.allowed));
    }
    loaded.origins[static_cast<size_t>(&setting - Settings().data())] = assignment.origin;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadedConfig> Load(const CommandLine& command_line, const Environment& environment) {
  const absl::StatusOr<EnvironmentSettings> variables = ReadEnvironment(environment);
  if (!variables.ok()) return variables.status();

  LoadedConfig loaded;
  loaded.origins.assign(Settings().size(), "default");
  const std::string& file =
      command_line.config_file.empty() ? variables->config_file : command_line.config_file;
  if (!file.empty()) {
    const absl::StatusOr<std::vector<Assignment>> assignments = ReadConfigFile(file);
    if (!assignments.ok()) return assignments.status();
    if (absl::Status status = Apply(*assignments, loaded); !status.ok()) return status;
  }
  if (absl::Status status = Apply(variables->assignments, loaded); !status.ok()) return status;
  if (absl::Status status = Apply(command_line.assignments, loaded); !status.ok()) return status;
  if (absl::Status status = CheckRules(loaded.config, loaded.origins); !status.ok()) return status;
  return loaded;
}

}  // namespace quintet::hello
