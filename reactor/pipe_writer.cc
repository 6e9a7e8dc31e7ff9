#include "reactor/pipe_writer.h"

#include <errno.h>
#include <unistd.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "reactor/event_loop.h"
#include "reactor/sigpipe_hold.h"

namespace quintet {
namespace {

// Returns the bytes, or -errno.
ssize_t WriteWithoutSignal(int fd, std::string_view bytes) {
  const SigpipeHold hold;
  const ssize_t count = ::write(fd, bytes.data(), bytes.size());
  const int error = count < 0 ? errno : 0;
  if (error == EPIPE) hold.TakeBack();
  return error != 0 ? -error : count;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PipeWriter>> PipeWriter::Create(EventLoop& loop, int fd,
                                                               Callback on_drained) {
  std::unique_ptr<PipeWriter> writer(new PipeWriter(fd, std::move(on_drained)));
  auto watcher = loop.Watch(fd, Readiness::kNone, Trigger::kLevel,
                            [raw = writer.get()](Readiness) { raw->OnWritable(); });
  if (!watcher.ok()) return watcher.status();
  writer->watcher_ = *std::move(watcher);
  return writer;
}

PipeWriter::~PipeWriter() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  CloseNow();
}

void PipeWriter::CloseNow() {
  watcher_.reset();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void PipeWriter::Write(std::string_view bytes) {
  if (closing_ || bytes.empty()) return;
  // Above half of it, what was taken is not worth keeping.
  if (taken_ > pending_.size() / 2) {
    pending_.erase(0, taken_);
    taken_ = 0;
  }
  pending_.append(bytes);
  Arm();
}

void PipeWriter::Close() {
  if (closing_) return;
  closing_ = true;
  if (pending_bytes() == 0) CloseNow();
}

void PipeWriter::Arm() {
  const bool wanted = pending_bytes() > 0;
  if (watcher_ == nullptr || armed_ == wanted) return;
  armed_ = wanted;
  // Level-triggered watches are changed without an error on every backend.
  static_cast<void>(
      watcher_->Modify(wanted ? Readiness::kWritable : Readiness::kNone, Trigger::kLevel));
}

void PipeWriter::OnWritable() {
  if (!armed_) return;
  if (!broken_) {
    const std::string_view rest = std::string_view(pending_).substr(taken_);
    const ssize_t count = WriteWithoutSignal(fd_, rest);
    if (count == -EAGAIN || count == -EINTR) return;
    broken_ = count < 0;
    if (!broken_) taken_ += static_cast<size_t>(count);
  }
  if (broken_) taken_ = pending_.size();
  if (pending_bytes() > 0) return;
  pending_.clear();
  taken_ = 0;
  Arm();
  if (closing_) CloseNow();
  if (!on_drained_) return;
  // Called from outside this object, which it may destroy.
  Callback callback = std::move(on_drained_);
  bool destroyed = false;
  destroyed_ = &destroyed;
  const absl::Cleanup put_back = [&] {
    if (destroyed) return;
    destroyed_ = nullptr;
    on_drained_ = std::move(callback);
  };
  callback();
}

}  // namespace quintet
