#include "reactor/pipe_reader.h"

#include <errno.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "reactor/event_loop.h"

namespace quintet {

absl::StatusOr<std::unique_ptr<PipeReader>> PipeReader::Create(EventLoop& loop, int fd,
                                                               Callback callback) {
  std::unique_ptr<PipeReader> reader(new PipeReader(fd, std::move(callback)));
  auto watcher = loop.Watch(fd, Readiness::kReadable, Trigger::kLevel,
                            [raw = reader.get()](Readiness) { raw->ReadOnce(); });
  if (!watcher.ok()) return watcher.status();
  reader->watcher_ = *std::move(watcher);
  return reader;
}

PipeReader::~PipeReader() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  Close();
}

void PipeReader::Close() {
  watcher_.reset();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void PipeReader::Pause() {
  if (paused_ || watcher_ == nullptr) return;
  paused_ = true;
  // Level-triggered watches are changed without an error on every backend.
  static_cast<void>(watcher_->Modify(Readiness::kNone, Trigger::kLevel));
}

void PipeReader::Resume() {
  if (!paused_ || watcher_ == nullptr) return;
  paused_ = false;
  static_cast<void>(watcher_->Modify(Readiness::kReadable, Trigger::kLevel));
}

void PipeReader::ReadAvailable() {
  // As many as a full pipe of the default capacity takes (pipe(7)), and one for the end: others may
  // go on writing.
  constexpr size_t kPipeBytes = 64 << 10;
  for (size_t read = 0; read <= kPipeBytes; read += kReadBytes) {
    if (!ReadOnce()) return;
  }
}

bool PipeReader::ReadOnce() {
  if (paused_ || fd_ < 0 || destroyed_ != nullptr) return false;
  std::array<char, kReadBytes> bytes;
  const ssize_t count = ::read(fd_, bytes.data(), bytes.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) Close();
  // Called from outside this object, which it may destroy.
  Callback callback = std::move(callback_);
  bool destroyed = false;
  destroyed_ = &destroyed;
  const absl::Cleanup put_back = [&] {
    if (destroyed) return;
    destroyed_ = nullptr;
    callback_ = std::move(callback);
  };
  callback(std::string_view(bytes.data(), count > 0 ? static_cast<size_t>(count) : 0));
  return !destroyed && count > 0;
}

}  // namespace quintet
