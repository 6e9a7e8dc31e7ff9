// What settings must fulfil together, beyond the range that each has by itself.
#ifndef QUINTET_APPS_PROGRAM_RULES_H_
#define QUINTET_APPS_PROGRAM_RULES_H_

#include <span>
#include <string>

#include "absl/status/status.h"
#include "apps/program/config.h"

namespace quintet::hello {

// `origins` as in LoadedConfig. The error names the settings, their values and their origins.
absl::Status CheckRules(const Config& config, std::span<const std::string> origins);

}  // namespace quintet::hello

#endif  // QUINTET_APPS_PROGRAM_RULES_H_
