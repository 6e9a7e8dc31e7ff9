// Runs a server of a classic model under the signals that programs take.
#ifndef QUINTET_APPS_PROGRAM_RUN_MODEL_SERVER_H_
#define QUINTET_APPS_PROGRAM_RUN_MODEL_SERVER_H_

#include <functional>

#include "absl/status/status.h"
#include "net/models/model_server.h"
#include "net/server.h"
#include "net/session.h"
#include "reactor/log.h"

namespace quintet::program {

struct ModelServerEvents {
  LogFunction log = nullptr;  // not empty; any thread
  // On the calling thread, when it listens, takes signals, and is about to serve; an error ends it.
  std::function<absl::Status(const ModelServer& server)> on_serving = nullptr;
  std::function<void()> on_stopping = nullptr;  // on the thread of signals: the end begins
};

// Serves until a signal has ended it. To be called once, on the only thread of the process. Errors:
// those of ModelServer::Create() and Run(), and a thread that cannot be made.
//
//   SIGTERM, SIGINT  ends: drains by the plan of `options`; again: at once
//   SIGQUIT          ends: drains for as long as it takes
//   SIGUSR1          logs the counters
//   SIGHUP, SIGUSR2  refused with a line: there is no supervisor that could replace the workers
absl::Status RunModelServer(const ModelOptions& model, const ServerOptions& options,
                            SessionFactory& sessions, const ModelServerEvents& events);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_RUN_MODEL_SERVER_H_
