// What makes a server program of the machinery in this directory: its name, what it serves, and
// what it can be told beyond the settings that all programs have.
#ifndef QUINTET_APPS_PROGRAM_PROGRAM_H_
#define QUINTET_APPS_PROGRAM_PROGRAM_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/program/config.h"
#include "apps/program/setting.h"
#include "net/session.h"

namespace quintet::program {

struct Program {
  std::string name;  // also begins each line on standard error
  // The word between the program's name and the flags, where that makes it the server: it is no
  // part of Main()'s arguments, and a successor gets it, too.
  std::string subcommand = "";
  std::string about;  // for --help: what it serves
  // Lines of a configuration file in TOML, for the documentation, each indented by four blanks.
  std::string example = "";
  // What runs where nothing is configured.
  Config defaults = {};
  // From SettingsWith(). Not to be changed later: others point into it.
  std::vector<Setting> settings = {};
  // What is served, made anew for each reload. The error says which settings no session could keep.
  std::function<absl::StatusOr<std::unique_ptr<SessionFactory>>(const Config& config)> sessions =
      nullptr;
  // What is allowed and should be known, each a line for the log when the configuration comes into
  // force. Null: nothing.
  std::function<std::vector<std::string>(const Config& config)> warnings = nullptr;
};

// main() without the program's name: parses, and prints or serves. Returns the exit code: 0, 1 for
// what fails, 2 for what is wrong in arguments, environment or file.
int Main(const Program& program, const std::vector<std::string>& arguments);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_PROGRAM_H_
