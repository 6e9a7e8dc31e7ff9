#include "tests/support/memory_transport.h"

#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace quintet::testing {

bool MemoryExecutor::Post(absl::AnyInvocable<void()> task) {
  const std::lock_guard lock(mutex_);
  if (gone_) return false;
  tasks_.push_back(std::move(task));
  return true;
}

size_t MemoryExecutor::Run() {
  std::deque<absl::AnyInvocable<void()>> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(tasks_);
  }
  for (auto& task : batch) task();
  return batch.size();
}

void MemoryExecutor::Shutdown() {
  std::deque<absl::AnyInvocable<void()>> destroyed;
  const std::lock_guard lock(mutex_);
  gone_ = true;
  destroyed.swap(tasks_);
}

MemoryTransport::MemoryTransport(std::unique_ptr<Session> session, Marks marks)
    : marks_(marks), session_(std::move(session)) {
  session_->Attach(*this);
}

MemoryTransport::MemoryTransport(std::unique_ptr<Session> session)
    : MemoryTransport(std::move(session), Marks()) {}

MemoryTransport::~MemoryTransport() {
  EndSession(CloseReason::kAborted);
  executor_->Shutdown();
}

template <typename Callback>
void MemoryTransport::Call(Callback&& callback) {
  ASSERT_FALSE(in_callback_) << "the session re-entered its transport";
  if (ended_) return;
  in_callback_ = true;
  written_in_callback_ = 0;
  try {
    callback();
  } catch (...) {
    Abort(CloseReason::kSessionError);
  }
  in_callback_ = false;
  if (written_in_callback_ != 0) ++flushes_;
  Settle();
}

void MemoryTransport::Settle() {
  if (ended_) return;
  if (aborted()) return EndSession(abort_reason_);
  if (!missing_.empty()) {
    const uint64_t missing = missing_.front();
    missing_.pop_front();
    return Call([this, missing] { session_->OnFileShort(missing); });
  }
  if (auto_take_) TakeOutput(output_.size());
}

void MemoryTransport::Open() {
  open_ = true;
  Call([this] { session_->OnOpen(); });
}

void MemoryTransport::Feed(std::string_view bytes) {
  if (closing()) return;
  input_.append(bytes);
  DeliverInput();
}

void MemoryTransport::FeedEof() {
  eof_ = true;
  DeliverInput();
}

void MemoryTransport::DeliverInput() {
  while (!paused_ && !closing() && !input_.empty()) {
    // A buffer of its own, exactly as large: a session that keeps a view of it, or reads beyond, is
    // found by ASan.
    const std::vector<char> arrival(input_.begin(), input_.end());
    Call([this, &arrival] {
      const size_t used = session_->OnData(std::as_bytes(std::span(arrival)));
      ASSERT_LE(used, arrival.size());
      input_.erase(0, used);
      if (used < arrival.size()) paused_ = true;
    });
  }
  if (eof_ && !eof_delivered_ && input_.empty() && !closing()) {
    eof_delivered_ = true;
    Call([this] { session_->OnEof(); });
  }
}

void MemoryTransport::Take(size_t bytes) {
  TakeOutput(bytes);
  DeliverInput();
}

void MemoryTransport::TakeOutput(size_t bytes) {
  received_.append(output_, 0, bytes);
  output_.erase(0, bytes);
  output_from_files_ = std::min(output_from_files_, output_.size());
  if (!blocked_ || output_.size() > marks_.low_bytes || ended_) return;
  blocked_ = false;
  if (!closing_) Call([this] { session_->OnOutputDrained(); });
}

void MemoryTransport::Advance(Duration duration) {
  const TimePoint until = now_ + duration;
  while (!ended_ && deadline_ <= until) {
    now_ = std::max(now_, std::exchange(deadline_, kNever));
    Call([this] { session_->OnDeadline(); });
  }
  now_ = until;
  DeliverInput();
}

void MemoryTransport::RunTasks() {
  written_in_callback_ = 0;
  executor_->Run();
  if (written_in_callback_ != 0) ++flushes_;
  Settle();
  DeliverInput();
}

void MemoryTransport::Drain() {
  Call([this] { session_->OnDrain(); });
  DeliverInput();
}

void MemoryTransport::Write(std::string_view bytes) {
  EXPECT_FALSE(ended_) << "written after OnClosed()";
  if (closing_ || aborted()) return;
  written_in_callback_ += bytes.size();
  output_.append(bytes);
  if (output_.size() > marks_.high_bytes) blocked_ = true;
  const size_t cap = marks_.cap_bytes + output_from_files_;
  if (output_.size() > cap) Abort(CloseReason::kOutputLimit);
}

void MemoryTransport::WriteFile(std::shared_ptr<const UniqueFd> file, uint64_t offset,
                                uint64_t length) {
  EXPECT_FALSE(ended_) << "written after OnClosed()";
  if (closing_ || aborted() || length == 0) return;
  written_in_callback_ += length;
  std::string bytes(length, '\0');
  size_t have = 0;
  while (have < length) {
    const ssize_t read =
        ::pread(file->get(), bytes.data() + have, length - have, static_cast<off_t>(offset + have));
    if (read <= 0) break;
    have += static_cast<size_t>(read);
  }
  if (have < length) missing_.push_back(length - have);
  output_.append(bytes);
  output_from_files_ += length;
  if (output_.size() > marks_.high_bytes) blocked_ = true;
}

void MemoryTransport::Close() {
  EXPECT_FALSE(ended_) << "closed after OnClosed()";
  closing_ = true;
}

void MemoryTransport::Abort(CloseReason reason) {
  EXPECT_FALSE(ended_) << "aborted after OnClosed()";
  if (aborted()) return;
  closing_ = true;
  abort_reason_ = reason;
  output_.clear();
}

void MemoryTransport::EndSession(CloseReason reason) {
  if (ended_) return;
  if (open_) session_->OnClosed(reason);
  ended_ = true;
  session_.reset();
}

}  // namespace quintet::testing
