// What a program prints: its configuration, its documentation, the backends.
#ifndef QUINTET_APPS_PROGRAM_REPORT_H_
#define QUINTET_APPS_PROGRAM_REPORT_H_

#include <span>
#include <string>

#include "apps/program/load.h"
#include "apps/program/program.h"
#include "reactor/backend_factory.h"

namespace quintet::program {

// The effective settings as a configuration file: each line ends with where its value came from.
std::string ConfigText(const Program& program, const LoadedConfig& loaded);

// The documentation of all settings, without those of this run; hello's is docs/configuration.md.
std::string ConfigurationMarkdown(const Program& program);

// The table of --list-backends.
std::string BackendTable(std::span<const BackendAvailability> backends);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_REPORT_H_
