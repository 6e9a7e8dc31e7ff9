#include "apps/files/client_main.h"

#include <signal.h>

#include <memory>
#include <optional>
#include <utility>

#include "apps/files/command.h"
#include "apps/files/commands.h"
#include "apps/files/exit_code.h"
#include "apps/files/remote.h"
#include "apps/files/report.h"
#include "apps/files/resolve.h"
#include "apps/files/shell.h"
#include "apps/program/standard_streams.h"
#include "net/files/authentication.h"

namespace quintet::files::app {
namespace {

ExitCode Fail(ExitCode code, const absl::Status& status) {
  Report::Error(std::string(status.message()));
  return code;
}

ExitCode Run(const std::vector<std::string>& arguments) {
  if (absl::Status status = program::EnsureStandardStreams(); !status.ok()) {
    return Fail(ExitCode::kFailure, status);
  }
  // A file size limit, or a reader of our output that went away, is an error like others.
  ::signal(SIGXFSZ, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  const absl::StatusOr<ParsedCommand> parsed = ParseCommandLine(arguments);
  if (!parsed.ok()) return Fail(ExitCode::kUsage, parsed.status());
  if (parsed->help.has_value()) {
    return Print(*parsed->help) ? ExitCode::kSuccess : ExitCode::kFailure;
  }
  const Command& command = parsed->command;
  std::optional<Secret> secret;
  if (!command.secret_file.empty()) {
    absl::StatusOr<Secret> loaded = Secret::Load(command.secret_file);
    if (!loaded.ok()) return Fail(ExitCode::kUsage, loaded.status());
    secret = *std::move(loaded);
  }
  absl::StatusOr<std::vector<Address>> addresses = Resolve(command.server);
  if (!addresses.ok()) {
    return Fail(absl::IsUnavailable(addresses.status()) ? ExitCode::kConnection : ExitCode::kUsage,
                addresses.status());
  }
  absl::StatusOr<std::unique_ptr<Remote>> remote =
      Remote::Create({.addresses = *std::move(addresses),
                      .secret = secret.has_value() ? &*secret : nullptr,
                      .timeout = command.timeout});
  if (!remote.ok()) return Fail(ExitCode::kFailure, remote.status());
  if (command.kind == CommandKind::kInteractive) return RunShell(**remote, command);
  const ExitCode code = RunCommand(**remote, command, OnInterrupt::kDisconnect);
  (*remote)->Quit();
  return code;
}

}  // namespace

int ClientMain(const std::vector<std::string>& arguments) {
  return static_cast<int>(Run(arguments));
}

}  // namespace quintet::files::app
