// What may stand behind what was typed.
#ifndef QUINTET_APPS_FILES_COMPLETION_H_
#define QUINTET_APPS_FILES_COMPLETION_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/files/command.h"

namespace quintet::files::app {

// The names in one directory, empty for the root or the current one; those of directories end with
// a slash. Empty where it cannot be read.
using NameLister =
    std::function<std::vector<std::string>(ArgumentKind kind, const std::string& directory)>;

// The words that the last one of `line` is the beginning of, quoted: commands for the first word,
// then names by the kind of the command's argument.
std::vector<std::string> Complete(std::string_view line, const NameLister& list);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_COMPLETION_H_
