// Settings from environment variables.
#ifndef QUINTET_APPS_PROGRAM_ENVIRONMENT_H_
#define QUINTET_APPS_PROGRAM_ENVIRONMENT_H_

#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/program/assignment.h"

namespace quintet::program {

using Environment = std::map<std::string, std::string>;

// The environment of this process.
Environment ProcessEnvironment();

struct EnvironmentSettings {
  std::string config_file;  // QUINTET_CONFIG; empty: not given
  std::vector<Assignment> assignments;
};

// A variable that is empty counts as not set. Variables with the prefix QUINTET_ that are no
// setting are left alone, others may use the prefix too, unless they look like a setting mistyped.
absl::StatusOr<EnvironmentSettings> ReadEnvironment(std::span<const Setting> settings,
                                                    const Environment& environment);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_ENVIRONMENT_H_
