// Brings the sources of settings together: flag over environment over file over default.
#ifndef QUINTET_APPS_PROGRAM_LOAD_H_
#define QUINTET_APPS_PROGRAM_LOAD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/program/command_line.h"
#include "apps/program/config.h"
#include "apps/program/environment.h"

namespace quintet::hello {

struct LoadedConfig {
  Config config = DefaultConfig();
  // Where each of Settings() got its value from: "default" or Assignment::origin.
  std::vector<std::string> origins;
};

// The effective configuration. The error is one line for the user: where it stands, what is wrong,
// and what is allowed. Every source is checked, also where another one wins.
absl::StatusOr<LoadedConfig> Load(const CommandLine& command_line, const Environment& environment);

}  // namespace quintet::hello

#endif  // QUINTET_APPS_PROGRAM_LOAD_H_
