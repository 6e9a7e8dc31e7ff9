// Many transfers, on as many connections as wanted.
#ifndef QUINTET_APPS_FILES_TRANSFER_RUN_H_
#define QUINTET_APPS_FILES_TRANSFER_RUN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/files/exit_code.h"
#include "apps/files/progress.h"
#include "apps/files/remote.h"
#include "apps/files/report.h"
#include "apps/files/transfer.h"

namespace quintet::files::app {

struct TransferPlan {
  size_t count = 0;
  // Makes transfer `index`, below `count`, when its turn has come.
  std::function<std::shared_ptr<Transfer>(size_t index)> make;
  // Of all of them; kUnknown: not known before they begin.
  uint64_t total_bytes = kUnknown;
  // Connections, each with one transfer at a time. At least 1.
  size_t parallel = 1;
};

// What Ctrl-C leaves: at the prompt a connection that can be used, where the program ends nothing,
// and the server keeps what it has for a resume.
enum class OnInterrupt { kCancel, kDisconnect };

// Runs the transfers until all are over, while `remote`'s loop runs. What fails is reported and
// does not keep the others from going on, unless there is no connection left. Returns kSuccess, or
// the code of the first failure; kInterrupted.
ExitCode RunTransfers(Remote& remote, const TransferPlan& plan, const Report& report,
                      OnInterrupt on_interrupt);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_TRANSFER_RUN_H_
