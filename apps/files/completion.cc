#include "apps/files/completion.h"

#include <algorithm>

#include "apps/files/words.h"

namespace quintet::files::app {
namespace {

bool EndsWithBlank(std::string_view line) {
  if (line.empty() || (line.back() != ' ' && line.back() != '\t')) return line.empty();
  // An odd number of backslashes before it makes it a part of a word.
  size_t backslashes = 0;
  for (size_t i = line.size() - 1; i-- > 0 && line[i] == '\\';) ++backslashes;
  return backslashes % 2 == 0;
}

}  // namespace

std::vector<std::string> Complete(std::string_view line, const NameLister& list) {
  Words typed = SplitWords(line);
  // In quotes libedit and we would not agree on where the word begins.
  if (typed.unfinished) return {};
  if (EndsWithBlank(line)) typed.words.emplace_back();
  if (typed.words.empty()) typed.words.emplace_back();
  const std::string& begun = typed.words.back();

  std::vector<std::string> found;
  if (typed.words.size() == 1) {
    for (const CommandInfo& info : Commands()) {
      if (info.shell.starts_with(begun) && !info.shell.empty()) found.emplace_back(info.shell);
    }
    return found;
  }
  const CommandInfo* const info = FindShellCommand(typed.words.front());
  if (info == nullptr) return {};
  const auto options = std::count_if(typed.words.begin() + 1, typed.words.end() - 1,
                                     [](const std::string& word) { return word.starts_with('-'); });
  const size_t argument = typed.words.size() - 2 - static_cast<size_t>(options);
  if (argument >= info->argument_kinds.size()) return {};
  const size_t slash = begun.rfind('/');
  const std::string directory = slash == std::string::npos ? "" : begun.substr(0, slash);
  const std::string before = slash == std::string::npos ? "" : begun.substr(0, slash + 1);
  for (const std::string& name :
       list(info->argument_kinds[argument], before == "/" ? before : directory)) {
    if (name.starts_with(std::string_view(begun).substr(before.size()))) {
      found.push_back(QuoteWord(before + name));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace quintet::files::app
