#include "apps/files/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/files/exit_code.h"
#include "apps/program/settings.h"
#include "apps/program/value.h"

namespace quintet::files::app {
namespace {

constexpr std::string_view kSecretHelp =
    "A file with the secret that the server shares; the server has to know it, too.";

// Where the commands differ in what they can be told.
bool Transfers(CommandKind kind) { return kind == CommandKind::kGet || kind == CommandKind::kPut; }

size_t RequiredPaths(CommandKind kind) {
  switch (kind) {
    case CommandKind::kGet:
    case CommandKind::kPut:
    case CommandKind::kRemove:
      return 1;
    case CommandKind::kMove:
      return 2;
    default:
      return 0;
  }
}

void AddOptions(CLI::App& app, CommandKind kind, Command& command) {
  if (kind == CommandKind::kList) {
    app.add_flag("-l,--long", command.details, "Sizes and times, too.");
    app.add_flag("-0,--null", command.null_ended,
                 "Names as they are, each with a NUL behind it; else what a terminal could take "
                 "for more than a name is shown as \\xNN.");
  }
  if (!Transfers(kind)) return;
  app.add_flag("-r,--recursive", command.recursive, "A directory with all that is in it.");
  app.add_flag("--resume", command.resume,
               "Goes on where an earlier transfer of the same file stopped.");
  app.add_option("--parallel", command.parallel, "As many files at once, on connections each.")
      ->check(CLI::Range(size_t{1}, kMaxParallel))
      ->type_name("N")
      ->capture_default_str();
  if (kind == CommandKind::kGet) {
    app.add_flag("--verify", command.verify, "Checks each byte on its way by CRC-32C.");
    app.add_flag("--sync", command.sync,
                 "The file is on the disk, not only in memory, before it gets its name.");
  }
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

absl::StatusOr<ParsedCommand> Parse(const CommandInfo& info, bool in_shell,
                                    std::span<const std::string> words) {
  ParsedCommand parsed;
  Command& command = parsed.command;
  command.kind = info.kind;
  const program::ValueType<Duration> duration = program::TimeoutValue();
  std::string timeout = duration.print(command.timeout);
  std::string name(in_shell ? info.shell : info.name);
  if (!in_shell) name = name.empty() ? "files" : "files " + name;
  CLI::App app(std::string(info.about), name);
  if (!in_shell) {
    app.add_option("SERVER", command.server, "HOST:PORT, [IPV6]:PORT or unix:PATH.")
        ->required()
        ->type_name("");
  }
  const size_t required = RequiredPaths(info.kind);
  if (!info.argument_kinds.empty()) {
    app.add_option("PATHS", command.paths, std::string(info.arguments))
        ->expected(static_cast<int>(required), static_cast<int>(info.argument_kinds.size()))
        ->required(required > 0)
        ->type_name("");
  }
  AddOptions(app, info.kind, command);
  if (!in_shell) {
    app.add_flag("-q,--quiet", command.quiet, "No progress, also on a terminal.");
    app.add_option("--secret-file", command.secret_file, std::string(kSecretHelp))
        ->type_name("FILE");
    app.add_option("--timeout", timeout,
                   "For the connection, and for the server to do anything while it is waited for.")
        ->type_name("DURATION")
        ->capture_default_str();
    app.footer(kExitCodeHelp);
  }
  try {
    // In the order of a stack, as CLI11 wants it.
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    parsed.help = app.help();
    return parsed;
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(OneLine(error.what()));
  }
  const absl::StatusOr<Duration> patience = duration.parse(timeout);
  if (!patience.ok() || *patience == Duration::zero()) {
    return absl::InvalidArgumentError(absl::StrCat("--timeout: ", program::TomlString(timeout),
                                                   " is not allowed; allowed: above 0s, ",
                                                   duration.allowed));
  }
  command.timeout = *patience;
  return parsed;
}

}  // namespace

std::span<const CommandInfo> Commands() {
  using enum ArgumentKind;
  static const auto& commands = *new std::vector<CommandInfo>{
      {CommandKind::kList, "ls", "list", "[PATH]", "Lists a directory.", {kRemote}},
      {CommandKind::kGet, "get", "get", "REMOTE [LOCAL]", "Fetches a file.", {kRemote, kLocal}},
      {CommandKind::kPut, "put", "put", "LOCAL [REMOTE]", "Stores a file.", {kLocal, kRemote}},
      {CommandKind::kRemove, "rm", "rm", "PATH", "Deletes a file.", {kRemote}},
      {CommandKind::kMove, "mv", "mv", "FROM TO", "Renames a file.", {kRemote, kRemote}},
      {CommandKind::kInteractive, "", "", "", "Commands at a prompt."},
      {CommandKind::kHelp, "", "help", "", "Says what can be done."},
      {CommandKind::kQuit, "", "quit", "", "Ends; so does Ctrl-D."},
  };
  return commands;
}

const CommandInfo* FindShellCommand(std::string_view name) {
  for (const CommandInfo& info : Commands()) {
    if (!info.shell.empty() && (info.shell == name || info.name == name)) return &info;
  }
  return nullptr;
}

absl::StatusOr<ParsedCommand> ParseCommandLine(const std::vector<std::string>& words) {
  if (words.empty()) return absl::InvalidArgumentError("no command; files --help lists them");
  const std::span<const std::string> all(words);
  const CommandInfo* interactive = nullptr;
  for (const CommandInfo& info : Commands()) {
    if (!info.name.empty() && info.name == words.front()) return Parse(info, false, all.subspan(1));
    if (info.kind == CommandKind::kInteractive) interactive = &info;
  }
  if (words.front() == "--help" || words.front() == "-h" || words.front() == "help") {
    return ParsedCommand{.command = {}, .help = ProgramHelp()};
  }
  if (words.front().find(':') == std::string::npos && !words.front().starts_with("-")) {
    return absl::InvalidArgumentError(
        absl::StrCat(program::TomlString(words.front()),
                     " is neither a command nor HOST:PORT; files --help lists the commands"));
  }
  return Parse(*interactive, false, all);
}

absl::StatusOr<ParsedCommand> ParseShellCommand(const std::vector<std::string>& words) {
  const CommandInfo* const info = FindShellCommand(words.front());
  if (info == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(program::TomlString(words.front()), " is no command; help lists them"));
  }
  return Parse(*info, true, std::span(words).subspan(1));
}

std::string ProgramHelp() {
  std::string text =
      "Serves files, lists them, fetches and stores them.\n\n"
      "  files serve --root DIR [--listen ADDRESS]   see files serve --help\n"
      "  files HOST:PORT                             commands at a prompt\n";
  for (const CommandInfo& info : Commands()) {
    if (info.name.empty()) continue;
    absl::StrAppend(
        &text, absl::StrFormat("  %-43s %s\n",
                               absl::StrCat("files ", info.name, " HOST:PORT ", info.arguments),
                               info.about));
  }
  absl::StrAppend(&text, "\nEach command has options: files get --help.\n\n", kExitCodeHelp);
  return text;
}

std::string ShellHelp() {
  std::string text;
  for (const CommandInfo& info : Commands()) {
    if (info.shell.empty()) continue;
    absl::StrAppend(
        &text,
        absl::StrFormat("  %-24s %s\n", absl::StrCat(info.shell, " ", info.arguments), info.about));
  }
  return text +
         "Each has options: get --help. Ctrl-C cancels a transfer. Names with blanks: in quotes, "
         "or \\ before each.\n";
}

}  // namespace quintet::files::app
