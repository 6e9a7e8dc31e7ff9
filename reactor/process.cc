#include "reactor/process.h"

#include <signal.h>
#include <unistd.h>

#include <utility>

#include "reactor/event_loop.h"
#include "reactor/spawn.h"

namespace quintet {
namespace {

using Stream = ProcessOptions::Stream;

// The child's end goes into `streams`. Returns this process's, or -1 where there is none.
absl::StatusOr<int> Prepare(Stream kind, int number, ChildStreams& streams) {
  int& theirs = streams.fds.at(static_cast<size_t>(number));
  if (kind == Stream::kPipe) {
    auto pipe = MakeChildPipe(/*child_reads=*/number == STDIN_FILENO);
    if (!pipe.ok()) return pipe.status();
    theirs = pipe->theirs;
    return pipe->ours;
  }
  if (kind == Stream::kNull) {
    auto null = OpenNull();
    if (!null.ok()) return null.status();
    theirs = *null;
  }
  return -1;
}

absl::Status MakeReader(EventLoop& loop, Stream kind, int number, PipeReader::Callback callback,
                        ChildStreams& streams, std::unique_ptr<PipeReader>& reader) {
  const auto fd = Prepare(kind, number, streams);
  if (!fd.ok() || *fd < 0) return fd.status();
  // Whoever does not want to know reads and drops it: the program must not wait for ever.
  if (!callback) callback = [](std::string_view) {};
  auto made = PipeReader::Create(loop, *fd, std::move(callback));
  if (!made.ok()) return made.status();
  reader = *std::move(made);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Spawn(EventLoop& loop,
                                                        const ProcessOptions& options,
                                                        Events events) {
  std::unique_ptr<Process> process(new Process(loop));
  const absl::Status started = process->Start(options, std::move(events));
  if (!started.ok()) return started;
  return process;
}

absl::Status Process::Start(const ProcessOptions& options, Events events) {
  ChildStreams streams;
  const auto input = Prepare(options.input, STDIN_FILENO, streams);
  if (!input.ok()) return input.status();
  if (*input >= 0) {
    auto writer = PipeWriter::Create(loop_, *input, std::move(events.on_input_drained));
    if (!writer.ok()) return writer.status();
    input_ = *std::move(writer);
  }
  absl::Status made = MakeReader(loop_, options.output, STDOUT_FILENO, std::move(events.on_output),
                                 streams, output_);
  if (made.ok()) {
    made = MakeReader(loop_, options.error, STDERR_FILENO, std::move(events.on_error_output),
                      streams, error_output_);
  }
  if (!made.ok()) return made;

  const auto pid = SpawnProgram(options, streams);
  if (!pid.ok()) return pid.status();
  pid_ = *pid;
  // An end of the file comes when every copy of the other end is closed.
  streams.Close();
  on_ended_ = std::move(events.on_ended);
  auto watch = loop_.WatchChild(
      pid_, [this](int status) { OnEnded(status); }, ChildWatch::Reaping::kByOwner);
  // It has ended already, and SIGCHLD is ignored: nothing is known of it.
  if (!watch.ok()) return watch.status();
  watch_ = *std::move(watch);
  if (options.deadline > Duration::zero()) {
    deadline_ = loop_.RunAfter(options.deadline, [this] {
      deadline_passed_ = true;
      Kill(SIGKILL);
    });
  }
  return absl::OkStatus();
}

Process::~Process() {
  loop_.Cancel(deadline_);
  if (watch_ == nullptr) return;
  if (!watch_->ended()) Kill(SIGKILL);
  if (!lost_) loop_.KillAndReap(std::move(watch_));
}

void Process::Kill(int signo) {
  // A negative number is the group's, which is named after its leader.
  if (!lost_) ::kill(-pid_, signo);
}

void Process::OnEnded(int status) {
  lost_ = status == ChildWatch::kUnknownStatus;
  const ProcessEnd end = {.status = status, .deadline_passed = deadline_passed_};
  // It may destroy this.
  auto on_ended = std::move(on_ended_);
  if (on_ended) on_ended(end);
}

}  // namespace quintet
