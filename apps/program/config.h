// What a program can be told.
#ifndef QUINTET_APPS_PROGRAM_CONFIG_H_
#define QUINTET_APPS_PROGRAM_CONFIG_H_

#include <any>
#include <cassert>
#include <string>

#include "net/generation.h"
#include "net/models/model_server.h"
#include "net/models/server_model.h"
#include "net/server.h"

namespace quintet::program {

// The options of the library, as they are; settings.h says how each is called outside. What runs
// where nothing is configured is the program's: Program::defaults.
struct Config {
  // The process itself; empty paths mean none.
  struct Process {
    bool daemon = false;
    std::string pid_file;
    std::string log_file;
  };

  // Beyond `model` itself, of the classic models only.
  ModelOptions model = {.model = ServerModel::kReactor};
  ServerOptions server;
  WorkerKind worker_kind = WorkerKind::kThread;
  Duration start_timeout = std::chrono::seconds(30);
  Process process;
  // What the settings of one program set, of a type that it chooses: see Own().
  std::any own;
};

// The program's own part of `config`, whose type must be T.
template <typename T>
T& Own(Config& config) {
  T* own = std::any_cast<T>(&config.own);
  assert(own != nullptr);
  return *own;
}
template <typename T>
const T& Own(const Config& config) {
  const T* own = std::any_cast<T>(&config.own);
  assert(own != nullptr);
  return *own;
}

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_CONFIG_H_
