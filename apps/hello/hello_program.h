// The hello server as a program: its name, its settings, what it serves.
#ifndef QUINTET_APPS_HELLO_HELLO_PROGRAM_H_
#define QUINTET_APPS_HELLO_HELLO_PROGRAM_H_

#include "apps/program/config.h"
#include "apps/program/program.h"
#include "net/http/options.h"

namespace quintet::hello {

// Never destroyed.
const program::Program& HelloProgram();

// What the settings of HTTP have set in a configuration of this program.
inline const http::Options& HttpOptions(const program::Config& config) {
  return program::Own<http::Options>(config);
}

}  // namespace quintet::hello

#endif  // QUINTET_APPS_HELLO_HELLO_PROGRAM_H_
