// What the client of the files program ends with, for scripts.
#ifndef QUINTET_APPS_FILES_EXIT_CODE_H_
#define QUINTET_APPS_FILES_EXIT_CODE_H_

#include "net/files/client_error.h"

namespace quintet::files::app {

enum class ExitCode {
  kSuccess = 0,
  kFailure = 1,       // what has no number of its own, such as a failure of a local file
  kUsage = 2,         // wrong arguments
  kNotFound = 3,      // no such file or directory there
  kConnection = 4,    // no connection, or it broke: the same command with --resume goes on
  kRefused = 5,       // read only, forbidden, bad name, not a file, wrong secret
  kNoSpace = 6,       // the server's disk is full, or a quota is used up
  kBusy = 7,          // busy, ending, the same upload is being made, the file changed: try again
  kInterrupted = 130  // Ctrl-C
};

ExitCode ExitCodeOf(const ClientError& error);

// The codes as --help prints them, one line each.
inline constexpr char kExitCodeHelp[] =
    "Exit codes:\n"
    "  0    done\n"
    "  1    failed, for example a local file\n"
    "  2    wrong arguments\n"
    "  3    not found on the server\n"
    "  4    no connection, or it broke; what was transferred waits for --resume\n"
    "  5    refused: read only, forbidden, bad name, not a file, wrong secret\n"
    "  6    no space on the server, or a quota is used up\n"
    "  7    busy, or the file has changed: try again\n"
    "  130  interrupted by Ctrl-C\n";

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_EXIT_CODE_H_
