// The command line, derived from the table of settings.
#ifndef QUINTET_APPS_PROGRAM_COMMAND_LINE_H_
#define QUINTET_APPS_PROGRAM_COMMAND_LINE_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/program/assignment.h"
#include "apps/program/program.h"

namespace quintet::program {

// What the program is asked to do. Of several the first in this order is done.
enum class Action {
  kHelp,
  kHelpMarkdown,  // as docs/configuration.md
  kVersion,
  kListBackends,
  kPrintConfig,
  kCheckConfig,
  kServe,
};

struct CommandLine {
  Action action = Action::kServe;
  std::string config_file = {};  // empty: not given
  std::vector<Assignment> assignments = {};
};

// `arguments` without the program's name. The error is one line: the flag, what is wrong with it.
absl::StatusOr<CommandLine> ParseCommandLine(const Program& program,
                                             std::span<const std::string> arguments);

// The text of --help.
std::string HelpText(const Program& program);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_COMMAND_LINE_H_
