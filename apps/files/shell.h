// The files client at a prompt.
#ifndef QUINTET_APPS_FILES_SHELL_H_
#define QUINTET_APPS_FILES_SHELL_H_

#include "apps/files/command.h"
#include "apps/files/exit_code.h"
#include "apps/files/remote.h"

namespace quintet::files::app {

// Connects, and does what is typed until quit or the end of the input. `settings` are those of the
// command line. Returns the code of the last command that was not interrupted, so that a script of
// commands can be piped in.
ExitCode RunShell(Remote& remote, const Command& settings);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_SHELL_H_
