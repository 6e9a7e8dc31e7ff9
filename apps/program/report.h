// What the hello server prints: its configuration, its documentation, the backends.
#ifndef QUINTET_APPS_PROGRAM_REPORT_H_
#define QUINTET_APPS_PROGRAM_REPORT_H_

#include <span>
#include <string>

#include "apps/program/load.h"
#include "reactor/backend_factory.h"

namespace quintet::hello {

// The effective settings as a configuration file: each line ends with where its value came from.
std::string ConfigText(const LoadedConfig& loaded);

// docs/configuration.md, without the settings of this run.
std::string ConfigurationMarkdown();

// The table of --list-backends.
std::string BackendTable(std::span<const BackendAvailability> backends);

}  // namespace quintet::hello

#endif  // QUINTET_APPS_PROGRAM_REPORT_H_
