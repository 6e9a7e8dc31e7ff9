// A line from a terminal, with history and completion, by libedit.
#ifndef QUINTET_APPS_FILES_PROMPT_H_
#define QUINTET_APPS_FILES_PROMPT_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quintet::files::app {

struct PromptOptions {
  std::string prompt;
  std::string history_file;  // read at the start, written at the end; empty: none
  // The words that may stand where the last one of `line` is begun, complete and quoted, those that
  // begin otherwise left out. Called while ReadLine() waits.
  std::function<std::vector<std::string>(std::string_view line)> complete;
};

// One at a time in a process: libedit keeps its state in globals. Where standard input is no
// terminal, lines are read as they come, without prompt, history and completion. Not thread-safe.
class Prompt {
 public:
  explicit Prompt(PromptOptions options);
  // Writes the history; a file that cannot be written is left as it is.
  ~Prompt();
  Prompt(const Prompt&) = delete;
  Prompt& operator=(const Prompt&) = delete;

  // The next line, without its end. Nothing at the end of the input (Ctrl-D). Ctrl-C throws away
  // what was typed and begins a new line, also while SIGINT is blocked in this thread.
  std::optional<std::string> ReadLine();

  bool interactive() const { return interactive_; }

 private:
  std::optional<std::string> ReadPlainLine();

  const PromptOptions options_;
  const bool interactive_;
};

// Where histories are kept: $XDG_STATE_HOME/quintet/files_history, by default in ~/.local/state
// (XDG Base Directory Specification 0.8). Empty where there is no home. Makes the directory.
std::string HistoryPath();

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_PROMPT_H_
