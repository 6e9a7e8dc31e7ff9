// What settings must fulfil together, beyond the range that each has by itself.
#ifndef QUINTET_APPS_PROGRAM_RULES_H_
#define QUINTET_APPS_PROGRAM_RULES_H_

#include <span>
#include <string>

#include "absl/status/status.h"
#include "apps/program/config.h"
#include "apps/program/program.h"

namespace quintet::program {

// `origins` as in LoadedConfig. The error names the settings, their
// values and their origins.
absl::Status CheckRules(const Program& program, const Config& config,
                        std::span<const std::string> origins);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_RULES_H_
