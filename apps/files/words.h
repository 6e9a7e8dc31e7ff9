// The words of a line, as a shell would cut it.
#ifndef QUINTET_APPS_FILES_WORDS_H_
#define QUINTET_APPS_FILES_WORDS_H_

#include <string>
#include <string_view>
#include <vector>

namespace quintet::files::app {

struct Words {
  std::vector<std::string> words;
  // The line ends inside quotes, or behind a backslash.
  bool unfinished = false;
};
// Words are separated by blanks. A backslash takes the next character as it is, inside double
// quotes as well; between single quotes everything is as it is.
Words SplitWords(std::string_view line);

// `word` so that SplitWords() reads it as one.
std::string QuoteWord(std::string_view word);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_WORDS_H_
