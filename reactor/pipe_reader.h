// The reading end of a pipe on a loop.
#ifndef QUINTET_REACTOR_PIPE_READER_H_
#define QUINTET_REACTOR_PIPE_READER_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "reactor/watcher.h"

namespace quintet {

class EventLoop;

// Reads what comes and hands it on. Loop's thread only; may be destroyed at any moment, also in its
// own callback; must not be used after its loop has gone.
class PipeReader {
 public:
  // Bytes, valid during the call. An empty piece is the end, once: end of file, or an error of
  // read(2), which a pipe does not have.
  using Callback = absl::AnyInvocable<void(std::string_view bytes)>;

  // Most that one call of the callback brings: a quarter of what a pipe holds (pipe(7)), so that
  // one flooding writer does not keep a loop for long.
  static constexpr size_t kReadBytes = 16 << 10;

  // Takes over `fd`, non-blocking and close-on-exec, also on error. Errors: those of
  // EventLoop::Watch().
  static absl::StatusOr<std::unique_ptr<PipeReader>> Create(EventLoop& loop, int fd,
                                                            Callback callback);
  ~PipeReader();
  PipeReader(const PipeReader&) = delete;
  PipeReader& operator=(const PipeReader&) = delete;

  // No callback until Resume(): the pipe fills and its writer waits.
  void Pause();
  void Resume();
  bool paused() const { return paused_; }
  // Calls the callback now with what the pipe holds at this moment, where it is neither paused nor
  // running: the last words of a writer who has ended and is about to be forgotten.
  void ReadAvailable();
  // The end was told, the descriptor is closed.
  bool ended() const { return fd_ < 0; }

 private:
  PipeReader(int fd, Callback callback) : fd_(fd), callback_(std::move(callback)) {}

  // One read. Whether there may be more, and this still is.
  bool ReadOnce();
  void Close();

  int fd_;
  Callback callback_;
  WatcherPtr watcher_;
  bool paused_ = false;
  bool* destroyed_ = nullptr;  // while the callback runs: where to say it
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_PIPE_READER_H_
