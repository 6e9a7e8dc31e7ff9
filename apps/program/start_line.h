// What a program says when it has started.
#ifndef QUINTET_APPS_PROGRAM_START_LINE_H_
#define QUINTET_APPS_PROGRAM_START_LINE_H_

#include <string>

#include "net/models/model_server.h"
#include "net/supervisor.h"

namespace quintet::program {

// What runs, in one line without its end: addresses, model, backend and why, shards, and the limits
// of the process that decide how many connections fit.
std::string StartLine(const Supervisor& supervisor);

// The same of a server of a classic model.
std::string StartLine(const ModelServer& server, const ModelOptions& options);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_START_LINE_H_
