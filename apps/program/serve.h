// Runs a program's server: workers, signals, files, and what is told to whoever started it.
#ifndef QUINTET_APPS_PROGRAM_SERVE_H_
#define QUINTET_APPS_PROGRAM_SERVE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/program/command_line.h"
#include "apps/program/environment.h"
#include "apps/program/load.h"
#include "apps/program/program.h"

namespace quintet::program {

// Serves until the process is told to end. `loaded` is what `command_line` and `environment` came
// to at the start; a reload reads the file again. `arguments` are those of the program, without its
// name, for a successor.
absl::Status Serve(const Program& program, const CommandLine& command_line,
                   const Environment& environment, const LoadedConfig& loaded,
                   const std::vector<std::string>& arguments);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_SERVE_H_
