// Standard input, output and error as files of the process: there from the start, and away from
// the terminal in a daemon.
#ifndef QUINTET_APPS_PROGRAM_STANDARD_STREAMS_H_
#define QUINTET_APPS_PROGRAM_STANDARD_STREAMS_H_

#include "absl/status/status.h"

namespace quintet::program {

// Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed: a socket would otherwise
// get that number, and error messages would be written to its peer. First thing in main(). Reading
// and writing go on failing with EBADF there, so that lost output is still noticed. Errors: the
// errno of open(2).
absl::Status EnsureStandardStreams();

enum class StandardError {
  kDetach,  // to /dev/null
  kKeep,    // already leads to a log file
};

// Lets go of the terminal, and of the pipes of whoever started the program: standard input and
// output, and with kDetach standard error, become /dev/null. Any thread. Errors: the errno of
// open(2) or dup2(2).
absl::Status DetachStreams(StandardError standard_error);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_STANDARD_STREAMS_H_
