#include "apps/files/prompt.h"

// libedit's header needs it before.
#include <editline/readline.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <system_error>
#include <utility>

namespace quintet::files::app {
namespace {

// Lines that are kept.
constexpr int kHistoryLines = 1000;

// What libedit calls has no argument for an object.
const PromptOptions* active_options = nullptr;
std::optional<std::string> finished_line;
bool line_is_over = false;
volatile sig_atomic_t interrupts = 0;

void OnSigint(int) { interrupts = interrupts + 1; }

void OnLine(char* line) {
  line_is_over = true;
  if (line == nullptr) {
    finished_line.reset();
  } else {
    finished_line = line;
    ::free(line);
  }
  // Before the line is used: its output wants a terminal in its usual mode.
  rl_callback_handler_remove();
}

size_t CommonBeginning(const std::vector<std::string>& words) {
  size_t common = words.front().size();
  for (const std::string& word : words) {
    const auto [first, second] =
        std::mismatch(word.begin(), word.end(), words.front().begin(), words.front().end());
    common = std::min(common, static_cast<size_t>(first - word.begin()));
  }
  return common;
}

// As libedit wants it: what all have in common, then each, then null; all by malloc(3).
char** Matches(const char* /*text*/, int /*start*/, int end) {
  rl_attempted_completion_over = 1;  // no names of local files in place of ours
  const std::string_view line(rl_line_buffer, static_cast<size_t>(end));
  std::vector<std::string> words = active_options->complete(line);
  if (words.empty()) return nullptr;
  rl_completion_append_character = words.size() == 1 && words.front().ends_with('/') ? '\0' : ' ';
  words.insert(words.begin(), words.front().substr(0, CommonBeginning(words)));
  auto** const matches = static_cast<char**>(::calloc(words.size() + 1, sizeof(char*)));
  if (matches == nullptr) return nullptr;
  for (size_t i = 0; i < words.size(); ++i) matches[i] = ::strdup(words[i].c_str());
  return matches;
}

// Takes SIGINT for as long as it lives; delivered within ppoll(2) only.
class InterruptTrap {
 public:
  InterruptTrap() {
    interrupts = 0;
    sigset_t interrupt;
    ::sigemptyset(&interrupt);
    ::sigaddset(&interrupt, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &interrupt, &before_);
    while_waiting_ = before_;
    ::sigdelset(&while_waiting_, SIGINT);
    struct sigaction action {};
    action.sa_handler = OnSigint;
    ::sigaction(SIGINT, &action, &action_before_);
  }
  ~InterruptTrap() {
    ::sigaction(SIGINT, &action_before_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  InterruptTrap(const InterruptTrap&) = delete;
  InterruptTrap& operator=(const InterruptTrap&) = delete;

  // False: Ctrl-C came first.
  bool WaitForInput() {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    while (::ppoll(&input, 1, nullptr, &while_waiting_) < 0 && errno == EINTR) {
      if (interrupts != 0) {
        interrupts = 0;
        return false;
      }
    }
    return true;
  }

 private:
  sigset_t before_;
  sigset_t while_waiting_;
  struct sigaction action_before_ {};
};

}  // namespace

Prompt::Prompt(PromptOptions options)
    : options_(std::move(options)), interactive_(::isatty(STDIN_FILENO) == 1) {
  if (!interactive_) return;
  // Of the environment: without it libedit takes each byte of UTF-8 for a character.
  std::setlocale(LC_CTYPE, "");
  active_options = &options_;
  rl_readline_name = "files";
  rl_attempted_completion_function = Matches;
  // Words end at blanks only; which of them belong to names is our affair.
  rl_completer_word_break_characters = const_cast<char*>(" \t");
  using_history();
  // Else the terminal throws away what was typed when Ctrl-C comes, also between our wait for it
  // and libedit's read, which would then block although SIGINT is waiting.
  char no_flush[] = "setty -d +noflsh";
  rl_parse_and_bind(no_flush);
  stifle_history(kHistoryLines);
  if (!options_.history_file.empty()) read_history(options_.history_file.c_str());
}

Prompt::~Prompt() {
  if (!interactive_) return;
  if (!options_.history_file.empty()) {
    // Others need not know what was asked for.
    const mode_t mask = ::umask(0077);
    write_history(options_.history_file.c_str());
    ::umask(mask);
  }
  active_options = nullptr;
}

std::optional<std::string> Prompt::ReadLine() {
  if (!interactive_) return ReadPlainLine();
  InterruptTrap trap;
  line_is_over = false;
  finished_line.reset();
  rl_callback_handler_install(options_.prompt.c_str(), OnLine);
  while (!line_is_over) {
    if (trap.WaitForInput()) {
      rl_callback_read_char();
      continue;
    }
    ::tcflush(STDIN_FILENO, TCIFLUSH);
    rl_callback_handler_remove();
    std::fputs("^C\n", stdout);
    std::fflush(stdout);
    rl_callback_handler_install(options_.prompt.c_str(), OnLine);
  }
  if (finished_line.has_value() && !finished_line->empty()) add_history(finished_line->c_str());
  return std::exchange(finished_line, std::nullopt);
}

std::optional<std::string> Prompt::ReadPlainLine() {
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

std::string HistoryPath() {
  std::filesystem::path directory;
  const char* const state = ::getenv("XDG_STATE_HOME");
  const char* const home = ::getenv("HOME");
  if (state != nullptr && *state == '/') {
    directory = state;
  } else if (home != nullptr && *home == '/') {
    directory = std::filesystem::path(home) / ".local" / "state";
  } else {
    return "";
  }
  directory /= "quintet";
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  return error ? "" : directory / "files_history";
}

}  // namespace quintet::files::app
