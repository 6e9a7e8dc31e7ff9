// The commands of the files client, and how they are written: on the command line, and at the
// prompt, where there is no server to be named.
#ifndef QUINTET_APPS_FILES_COMMAND_H_
#define QUINTET_APPS_FILES_COMMAND_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "reactor/clock.h"

namespace quintet::files::app {

enum class CommandKind { kList, kGet, kPut, kRemove, kMove, kQuit, kHelp, kInteractive };

// What the arguments of a command name, for completion.
enum class ArgumentKind { kRemote, kLocal };

struct CommandInfo {
  CommandKind kind;
  std::string name;   // on the command line; empty: not there
  std::string shell;  // at the prompt; empty: not there
  std::string arguments;
  std::string about;
  std::vector<ArgumentKind> argument_kinds = {};
};
// All, in the order in which help lists them.
std::span<const CommandInfo> Commands();
// The command with this name at the prompt, where the names of the command line are good, too; null
// where there is none.
const CommandInfo* FindShellCommand(std::string_view name);

struct Command {
  CommandKind kind = CommandKind::kInteractive;
  std::string server;              // as it was written; empty at the prompt
  std::vector<std::string> paths;  // those that were given
  bool recursive = false;
  bool resume = false;
  bool verify = false;
  bool sync = false;
  bool quiet = false;
  bool details = false;
  bool null_ended = false;
  size_t parallel = 1;
  std::string secret_file;
  Duration timeout = std::chrono::seconds(60);
};

// Transfers at once at most: each has a connection, and the server's patience is not ours.
inline constexpr size_t kMaxParallel = 64;

struct ParsedCommand {
  Command command;
  // The text that was asked for with --help; then there is nothing to do.
  std::optional<std::string> help;
};

// `words` without the program's name. InvalidArgument, of one line: what is wrong.
absl::StatusOr<ParsedCommand> ParseCommandLine(const std::vector<std::string>& words);
// A line of the prompt in words, at least one.
absl::StatusOr<ParsedCommand> ParseShellCommand(const std::vector<std::string>& words);

// The text of files --help, and of help at the prompt.
std::string ProgramHelp();
std::string ShellHelp();

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_COMMAND_H_
