#include "apps/program/program.h"

#include <cstdio>

#include "absl/status/status.h"
#include "apps/program/load.h"
#include "apps/program/report.h"
#include "apps/program/serve.h"
#include "apps/program/standard_streams.h"
#include "reactor/backend_factory.h"
#include "reactor/version.h"

namespace quintet::program {
namespace {

constexpr int kSuccess = 0;
constexpr int kFailure = 1;
constexpr int kUsage = 2;

int Fail(const Program& program, int code, const absl::Status& status) {
  const std::string line = program.name + ": " + std::string(status.message()) + "\n";
  std::fputs(line.c_str(), stderr);
  return code;
}

int Print(const Program& program, const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    return Fail(program, kFailure, absl::UnavailableError("cannot write to standard output"));
  }
  return kSuccess;
}

}  // namespace

int Main(const Program& program, const std::vector<std::string>& arguments) {
  if (absl::Status status = EnsureStandardStreams(); !status.ok()) {
    return Fail(program, kFailure, status);
  }
  const absl::StatusOr<CommandLine> command_line = ParseCommandLine(program, arguments);
  if (!command_line.ok()) return Fail(program, kUsage, command_line.status());
  switch (command_line->action) {
    case Action::kHelp:
      return Print(program, HelpText(program));
    case Action::kHelpMarkdown:
      return Print(program, ConfigurationMarkdown(program));
    case Action::kVersion:
      return Print(program, program.name + " " + Version() + "\n");
    case Action::kListBackends:
      return Print(program, BackendTable(AvailableBackends()));
    case Action::kPrintConfig:
    case Action::kCheckConfig:
    case Action::kServe:
      break;
  }
  const Environment environment = ProcessEnvironment();
  const absl::StatusOr<LoadedConfig> loaded = Load(program, *command_line, environment);
  if (!loaded.ok()) return Fail(program, kUsage, loaded.status());
  const absl::StatusOr<std::unique_ptr<SessionFactory>> sessions = program.sessions(loaded->config);
  if (!sessions.ok()) return Fail(program, kUsage, sessions.status());
  if (command_line->action == Action::kPrintConfig) {
    return Print(program, ConfigText(program, *loaded));
  }
  if (command_line->action == Action::kCheckConfig) {
    return Print(program, "the configuration is valid\n");
  }
  const absl::Status served = Serve(program, *command_line, environment, *loaded, arguments);
  return served.ok() ? kSuccess : Fail(program, kFailure, served);
}

}  // namespace quintet::program
