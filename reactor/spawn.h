// Starts a program in a new process.
#ifndef QUINTET_REACTOR_SPAWN_H_
#define QUINTET_REACTOR_SPAWN_H_

#include <sys/types.h>

#include <array>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reactor/process.h"

namespace quintet {

// The descriptors of a new process's standard streams, in the order of their numbers, all above
// those (a stream that moves to its place must not overwrite another one); -1: inherited. Closed
// with this.
struct ChildStreams {
  ChildStreams() = default;
  ~ChildStreams() { Close(); }
  ChildStreams(const ChildStreams&) = delete;
  ChildStreams& operator=(const ChildStreams&) = delete;
  void Close();

  std::array<int, 3> fds = {-1, -1, -1};
};

// A pipe above the standard streams, close-on-exec. The end for this process is non-blocking; that
// for the child is not, for programs expect that. ResourceExhausted.
struct ChildPipe {
  int ours = -1;
  int theirs = -1;
};
absl::StatusOr<ChildPipe> MakeChildPipe(bool child_reads);
// /dev/null, above the standard streams, close-on-exec. ResourceExhausted, NotFound.
absl::StatusOr<int> OpenNull();

// Starts the program of `options` with `streams`, in a process group of its own, with no signal
// blocked or ignored and no further descriptor. Does not look at options.deadline and the kinds of
// streams. Errors: those of Process::Spawn().
absl::StatusOr<pid_t> SpawnProgram(const ProcessOptions& options, const ChildStreams& streams);

}  // namespace quintet

#endif  // QUINTET_REACTOR_SPAWN_H_
