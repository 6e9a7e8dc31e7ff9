// What the hello server can be told.
#ifndef QUINTET_APPS_PROGRAM_CONFIG_H_
#define QUINTET_APPS_PROGRAM_CONFIG_H_

#include <string>

#include "net/generation.h"
#include "net/http/options.h"
#include "net/server.h"

namespace quintet::hello {

// The options of the library, as they are; settings.h says how each is called outside. A default
// that differs from the library's is set by DefaultConfig().
struct Config {
  // The process itself; empty paths mean none.
  struct Process {
    bool daemon = false;
    std::string pid_file;
    std::string log_file;
  };

  ServerOptions server;
  WorkerKind worker_kind = WorkerKind::kThread;
  Duration start_timeout = std::chrono::seconds(30);
  http::Options http;
  Process process;
};

// What runs where nothing is configured: 127.0.0.1:8080, everything else as the library has it.
Config DefaultConfig();

}  // namespace quintet::hello

#endif  // QUINTET_APPS_PROGRAM_CONFIG_H_
