#include "apps/program/load.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "apps/program/config_file.h"
#include "apps/program/rules.h"

namespace quintet::program {
namespace {

absl::Status Apply(const Program& program, const std::vector<Assignment>& assignments,
                   LoadedConfig& loaded) {
  for (const Assignment& assignment : assignments) {
    const Setting& setting = *assignment.setting;
    if (absl::Status status = setting.set(assignment.values, loaded.config); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s: %s; allowed: %s", assignment.subject,
                                                        std::string(status.message()),
                                                        setting.allowed));
    }
    loaded.origins[static_cast<size_t>(&setting - program.settings.data())] = assignment.origin;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadedConfig> Load(const Program& program, const CommandLine& command_line,
                                  const Environment& environment) {
  const absl::StatusOr<EnvironmentSettings> variables =
      ReadEnvironment(program.settings, environment);
  if (!variables.ok()) return variables.status();

  LoadedConfig loaded{.config = program.defaults,
                      .origins = std::vector<std::string>(program.settings.size(), "default")};
  const std::string& file =
      command_line.config_file.empty() ? variables->config_file : command_line.config_file;
  if (!file.empty()) {
    const absl::StatusOr<std::vector<Assignment>> assignments =
        ReadConfigFile(program.settings, file);
    if (!assignments.ok()) return assignments.status();
    if (absl::Status status = Apply(program, *assignments, loaded); !status.ok()) return status;
  }
  if (absl::Status status = Apply(program, variables->assignments, loaded); !status.ok())
    return status;
  if (absl::Status status = Apply(program, command_line.assignments, loaded); !status.ok())
    return status;
  absl::Status status = CheckRules(program, loaded.config, loaded.origins);
  if (!status.ok()) return status;
  return loaded;
}

}  // namespace quintet::program
