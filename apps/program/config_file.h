// Settings from a TOML file.
#ifndef QUINTET_APPS_PROGRAM_CONFIG_FILE_H_
#define QUINTET_APPS_PROGRAM_CONFIG_FILE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/program/assignment.h"

namespace quintet::program {

// What the file sets, in the order of its lines. The error is one line: file, line, key, and what
// is allowed instead; of several errors the one that stands first in the file.
absl::StatusOr<std::vector<Assignment>> ReadConfigFile(std::span<const Setting> settings,
                                                       const std::string& path);

// The same for a text, which errors call `name`.
absl::StatusOr<std::vector<Assignment>> ParseConfig(std::span<const Setting> settings,
                                                    std::string_view text, const std::string& name);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_CONFIG_FILE_H_
