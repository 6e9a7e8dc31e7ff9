// What the commands of the files client do.
#ifndef QUINTET_APPS_FILES_COMMANDS_H_
#define QUINTET_APPS_FILES_COMMANDS_H_

#include "apps/files/command.h"
#include "apps/files/exit_code.h"
#include "apps/files/remote.h"
#include "apps/files/transfer_run.h"

namespace quintet::files::app {

// Does `command`, one of those that ask the server, and says what has failed. After Ctrl-C
// kInterrupted.
ExitCode RunCommand(Remote& remote, const Command& command, OnInterrupt on_interrupt);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_COMMANDS_H_
