// The writing end of a pipe on a loop.
#ifndef QUINTET_REACTOR_PIPE_WRITER_H_
#define QUINTET_REACTOR_PIPE_WRITER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "reactor/watcher.h"

namespace quintet {

class EventLoop;

// Keeps what is written until the pipe takes it. Never raises SIGPIPE. Loop's thread only; may be
// destroyed at any moment, also in its own callback; must not be used after its loop has gone.
class PipeWriter {
 public:
  // Nothing is pending any more. Called in a later turn than the Write() it belongs to.
  using Callback = absl::AnyInvocable<void()>;

  // Takes over `fd`, non-blocking and close-on-exec, also on error. Errors: those of
  // EventLoop::Watch().
  static absl::StatusOr<std::unique_ptr<PipeWriter>> Create(EventLoop& loop, int fd,
                                                            Callback on_drained);
  // What is pending is dropped.
  ~PipeWriter();
  PipeWriter(const PipeWriter&) = delete;
  PipeWriter& operator=(const PipeWriter&) = delete;

  // Copies `bytes`. There is no bound: whoever writes looks at pending_bytes(). After Close() it
  // does nothing.
  void Write(std::string_view bytes);
  // Closes the descriptor behind what is pending: the reader then finds the end of the file.
  void Close();

  size_t pending_bytes() const { return pending_.size() - taken_; }
  // Nobody reads (EPIPE, or another error of write(2)). What was pending is dropped, as is what is
  // written from then on, so that the callback still comes. Known only once something is written.
  bool broken() const { return broken_; }

 private:
  PipeWriter(int fd, Callback on_drained) : fd_(fd), on_drained_(std::move(on_drained)) {}

  void OnWritable();
  // Watches for what there is to do.
  void Arm();
  void CloseNow();

  int fd_;
  Callback on_drained_;
  WatcherPtr watcher_;
  std::string pending_;
  size_t taken_ = 0;  // of pending_, by the pipe
  bool armed_ = false;
  bool closing_ = false;
  bool broken_ = false;
  bool* destroyed_ = nullptr;  // while the callback runs: where to say it
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_PIPE_WRITER_H_
