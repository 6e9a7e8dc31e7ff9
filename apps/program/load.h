// Brings the sources of settings together: flag over environment over file over default.
#ifndef QUINTET_APPS_PROGRAM_LOAD_H_
#define QUINTET_APPS_PROGRAM_LOAD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/program/command_line.h"
#include "apps/program/config.h"
#include "apps/program/environment.h"
#include "apps/program/program.h"

namespace quintet::program {

struct LoadedConfig {
  Config config;
  // Where each of Program::settings got its value from: "default" or Assignment::origin.
  std::vector<std::string> origins;
};

// The effective configuration. The error is one line for the user: where it stands, what is wrong,
// and what is allowed. Every source is checked, also where another one wins.
absl::StatusOr<LoadedConfig> Load(const Program& program, const CommandLine& command_line,
                                  const Environment& environment);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_LOAD_H_
