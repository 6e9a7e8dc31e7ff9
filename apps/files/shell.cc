#include "apps/files/shell.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/files/commands.h"
#include "apps/files/completion.h"
#include "apps/files/prompt.h"
#include "apps/files/report.h"
#include "apps/files/tree.h"
#include "apps/files/words.h"
#include "net/files/path.h"

namespace quintet::files::app {
namespace {

std::vector<std::string> LocalNames(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory.empty() ? "." : directory, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    names.push_back(entry->path().filename().string() + (entry->is_directory(ignored) ? "/" : ""));
  }
  return names;
}

std::vector<std::string> RemoteNames(Remote& remote, const std::string& directory) {
  std::vector<std::string> names;
  for (const Entry& entry : ListDirectory(remote, directory, /*directories=*/true).entries) {
    // What cannot be shown as it is cannot be typed either, and a bad name would be refused.
    if (!SafeName(entry.name) || SafeText(entry.name) != entry.name) continue;
    names.push_back(entry.name + (entry.kind == EntryKind::kDirectory ? "/" : ""));
  }
  remote.ClearInterrupt();
  return names;
}

}  // namespace

ExitCode RunShell(Remote& remote, const Command& settings) {
  if (const auto error = remote.Connect(); error.has_value()) {
    Report::Error(error->ToString());
    return ExitCodeOf(*error);
  }
  Prompt prompt({.prompt = "files> ",
                 .history_file = HistoryPath(),
                 .complete = [&remote](std::string_view line) {
                   return Complete(line, [&](ArgumentKind kind, const std::string& directory) {
                     return kind == ArgumentKind::kLocal ? LocalNames(directory)
                                                         : RemoteNames(remote, directory);
                   });
                 }});
  ExitCode code = ExitCode::kSuccess;
  while (std::optional<std::string> line = prompt.ReadLine()) {
    remote.ClearInterrupt();
    const Words typed = SplitWords(*line);
    if (typed.words.empty()) continue;
    absl::StatusOr<ParsedCommand> parsed = ParseShellCommand(typed.words);
    if (typed.unfinished) parsed = absl::InvalidArgumentError("a quote is not closed");
    if (!parsed.ok()) {
      Report::Error(std::string(parsed.status().message()));
      code = ExitCode::kUsage;
      continue;
    }
    if (parsed->help.has_value() || parsed->command.kind == CommandKind::kHelp) {
      Print(parsed->help.value_or(ShellHelp()));
      continue;
    }
    if (parsed->command.kind == CommandKind::kQuit) break;
    parsed->command.quiet = settings.quiet;
    const ExitCode result = RunCommand(remote, parsed->command, OnInterrupt::kCancel);
    if (result == ExitCode::kInterrupted) {
      Report::Error("interrupted");
      remote.ClearInterrupt();
    } else {
      code = result;
    }
  }
  remote.Quit();
  return code;
}

}  // namespace quintet::files::app
