// A program of its own, run by a loop: its three streams, its end, its deadline.
#ifndef QUINTET_REACTOR_PROCESS_H_
#define QUINTET_REACTOR_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reactor/child_watch.h"
#include "reactor/clock.h"
#include "reactor/pipe_reader.h"
#include "reactor/pipe_writer.h"
#include "reactor/timer_table.h"

namespace quintet {

class EventLoop;

struct ProcessOptions {
  enum class Stream : uint8_t {
    kNull,     // /dev/null
    kPipe,     // to and from this process
    kInherit,  // that of this process
  };

  // The path of the program, as execve(2) takes it: PATH is not searched. Relative to the working
  // directory of the new process.
  std::string program;
  std::vector<std::string> arguments;  // argv, from argv[0] on
  // "NAME=value". None: that of this process.
  std::optional<std::vector<std::string>> environment;
  // Empty: that of this process.
  std::string working_directory;
  // The same by a descriptor, which wins where it is not -1 and stays the caller's.
  int working_directory_fd = -1;

  Stream input = Stream::kNull;
  Stream output = Stream::kNull;
  Stream error = Stream::kInherit;

  // So long after its start the process and its group are sent SIGKILL. Zero: no deadline.
  Duration deadline = Duration::zero();
};

// How a process ended.
struct ProcessEnd {
  int status = 0;  // of waitpid(2), or ChildWatch::kUnknownStatus
  bool deadline_passed = false;
};

// Owned by whoever spawned it. Loop's thread only; may be destroyed at any moment, also in the
// callbacks, but not after its loop.
//
// The process leads a process group of its own, so that what it starts is killed with it, unless
// that makes a group or session of its own. Its id stays its own for as long as this object lives
// (when it has ended, it is a zombie until then), so that Kill() can never meet a stranger: destroy
// this soon after `on_ended`.
//
// The new program begins with no signal blocked or ignored (but for two, 32 and 33, that glibc
// keeps for itself) and with no descriptor but its three streams. It is not told when this process
// dies: PR_SET_PDEATHSIG (prctl(2)) speaks of the thread that started it, and threads of loops end
// before their process does. It finds its pipes closed.
class Process {
 public:
  struct Events {
    // Of pipes; see PipeReader::Callback and PipeWriter::Callback. What a process wrote may come
    // after its end, and from others who hold the pipe long after.
    PipeReader::Callback on_output;
    PipeReader::Callback on_error_output;
    PipeWriter::Callback on_input_drained;
    // Once, when the process has ended. Others of its group may still run.
    absl::AnyInvocable<void(const ProcessEnd&)> on_ended;
  };

  // Starts the program, and returns when execve(2) has succeeded or failed; the calling thread
  // waits for that, as posix_spawn(3) does. Errors, with the errno in words: NotFound (no such
  // program, or no interpreter for it, or no such directory), PermissionDenied (a directory, a file
  // without x), InvalidArgument (E2BIG: arguments and environment are too long; a byte 0 in a
  // name), FailedPrecondition (ENOEXEC and other reasons not to execute it), ResourceExhausted
  // (descriptors, memory, RLIMIT_NPROC: see fork(2)).
  static absl::StatusOr<std::unique_ptr<Process>> Spawn(EventLoop& loop,
                                                        const ProcessOptions& options,
                                                        Events events);
  // Kills the process and its group with SIGKILL, if the process still runs, and leaves it to the
  // loop to reap it. What others of its group do after its end is theirs: Kill() them first.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool ended() const { return watch_->ended(); }
  // Sends a signal to all of its group, also when the process itself has ended.
  void Kill(int signo);

  // Null where the stream is no pipe. Owned by this.
  PipeWriter* input() { return input_.get(); }
  PipeReader* output() { return output_.get(); }
  PipeReader* error_output() { return error_output_.get(); }

 private:
  explicit Process(EventLoop& loop) : loop_(loop) {}

  absl::Status Start(const ProcessOptions& options, Events events);
  void OnEnded(int status);

  EventLoop& loop_;
  pid_t pid_ = -1;
  bool deadline_passed_ = false;
  bool lost_ = false;  // reaped by somebody else: the id may be a stranger's
  absl::AnyInvocable<void(const ProcessEnd&)> on_ended_;
  std::unique_ptr<PipeWriter> input_;
  std::unique_ptr<PipeReader> output_;
  std::unique_ptr<PipeReader> error_output_;
  ChildWatchPtr watch_;
  TimerHandle deadline_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_PROCESS_H_
