#include "apps/files/words.h"

#include <utility>

namespace quintet::files::app {

Words SplitWords(std::string_view line) {
  Words result;
  std::string word;
  bool in_word = false;
  bool escaped = false;
  char quote = '\0';
  for (const char c : line) {
    if (escaped) {
      word += c;
      escaped = false;
    } else if (c == '\\' && quote != '\'') {
      escaped = in_word = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) result.words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (in_word) result.words.push_back(std::move(word));
  result.unfinished = escaped || quote != '\0';
  return result;
}

std::string QuoteWord(std::string_view word) {
  if (word.empty()) return "''";
  std::string quoted;
  for (const char c : word) {
    if (c == ' ' || c == '\t' || c == '\\' || c == '\'' || c == '"') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

}  // namespace quintet::files::app
