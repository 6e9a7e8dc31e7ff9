// The hello server as a program: its name, its settings, what it serves.
#ifndef QUINTET_APPS_HELLO_HELLO_PROGRAM_H_
#define QUINTET_APPS_HELLO_HELLO_PROGRAM_H_

#include "apps/program/config.h"
#include "apps/program/program.h"
#include "net/cgi/options.h"
#include "net/http/options.h"

namespace quintet::hello {

// Never destroyed.
const program::Program& HelloProgram();

// What the settings of this program alone set.
struct HelloOptions {
  http::Options http;
  cgi::Options cgi;  // no directory: no programs are run
};
inline const HelloOptions& OptionsOf(const program::Config& config) {
  return program::Own<HelloOptions>(config);
}

}  // namespace quintet::hello

#endif  // QUINTET_APPS_HELLO_HELLO_PROGRAM_H_
