// The output of Connection: what is written, how it leaves, what is told of that.
#include <errno.h>

#include <cassert>
#include <utility>

#include "net/connection.h"
#include "reactor/backend.h"
#include "reactor/errno_class.h"

namespace quintet {

void Connection::Write(std::string_view bytes) {
  if (!takes_output()) return;
  const ConnectionOptions& options = group_->options();
  if (files_ != nullptr) return WriteBehindFiles(bytes);
  const size_t after = sending_.size() + filling_.size() + bytes.size();
  if (after > options.output_cap) {
    Abort(CloseReason::kOutputLimit);
    return;
  }
  filling_.Append(bytes, group_->pool());
  if (after > options.output_high_mark) output_blocked_ = true;
  ScheduleSettle();
}

void Connection::WriteBehindFiles(std::string_view bytes) {
  const size_t memory = sending_.size() + filling_.size() + files_->memory_bytes();
  if (memory + bytes.size() > group_->options().output_cap) {
    Abort(CloseReason::kOutputLimit);
    return;
  }
  files_->Append(bytes, group_->pool());
  if (output_bytes() > group_->options().output_high_mark) output_blocked_ = true;
  ScheduleSettle();
}

void Connection::WriteFile(std::shared_ptr<const UniqueFd> file, uint64_t offset, uint64_t length) {
  assert(file != nullptr && offset <= INT64_MAX && length <= INT64_MAX - offset);
  if (!takes_output() || length == 0) return;
  if (files_ == nullptr) files_ = std::make_unique<FileOutput>();
  files_->AppendRange(std::move(file), offset, length);
  // Nothing is too long by now, but what is noted of the range counts for the cap.
  WriteBehindFiles({});
}

void Connection::OnSent(int32_t result) {
  send_in_flight_ = false;
  io_deadline_ = kNever;
  if (sending_.empty() && result == -ENODATA && !files_->failed()) {
    files_->Fail();
  } else if (result < 0) {
    StartClosing(IsReset(-result) ? CloseReason::kPeerReset : CloseReason::kError,
                 CloseMode::kClose);
  } else if (sending_.empty()) {
    OnTakenFromFile(static_cast<size_t>(result));
  } else {
    OnTaken(sending_, static_cast<size_t>(result));
  }
}

// The kernel has taken the first `bytes` of the first range. What comes behind it is bytes again.
void Connection::OnTakenFromFile(size_t bytes) {
  if (group_ != nullptr) ConnectionCounters::Add(group_->counters().bytes_out, bytes);
  files_->Consume(bytes);
  if (!files_->sent()) return;
  files_->Pop(filling_);
  if (files_->empty()) files_.reset();
}

// Whether something waits for the output in flight to have left.
bool Connection::SendMatters() const {
  return state_ != State::kOpen || close_requested_ || output_blocked_ || !filling_.empty() ||
         files_ != nullptr;
}

void Connection::Flush() {
  if (send_in_flight_) {
    if (send_is_lazy_ && SendMatters()) {
      send_is_lazy_ = false;
      loop_.backend().ExpectSend(*this);
    }
    return;
  }
  if (output_bytes() == 0 || state_ == State::kConnecting) return;
  // What a short send has left waits for room in the socket, where SendNow() would ask in vain.
  if (sending_.empty()) {
    if (!filling_.empty()) FlushFilling();
    if (sending_.empty() && FlushFiles()) return;
  }
  StartSending();
}

// What is not taken at once becomes what is being sent.
void Connection::FlushFilling() {
  OnTaken(filling_, loop_.backend().SendNow(*this, {&filling_.content(), 1}));
  if (!filling_.empty()) swap(sending_, filling_);
}

// Sends from the files, and what is between them, what the kernel takes at once. False when
// something has to wait: for room, or because other connections have their turn.
bool Connection::FlushFiles() {
  size_t sent = 0;  // from files
  while (files_ != nullptr) {
    if (files_->waits() || sent >= Backend::kMaxSendFileBytes) return false;
    const size_t taken = files_->failed() ? loop_.backend().SendNow(*this, {&files_->zeros(), 1})
                                          : loop_.backend().SendFileNow(*this, files_->range());
    if (taken == 0) return false;
    sent += taken;
    OnTakenFromFile(taken);
    if (!filling_.empty()) FlushFilling();
    if (!sending_.empty()) return false;
  }
  return true;
}

// Starts the send of what comes first and was not taken at once.
void Connection::StartSending() {
  send_in_flight_ = true;
  if (group_ != nullptr && group_->options().write_stall_timeout > Duration::zero()) {
    io_deadline_ = AddSaturated(present(), group_->options().write_stall_timeout);
  }
  send_is_lazy_ = !SendMatters();
  if (sending_.empty()) {
    files_->set_waits();
    if (files_->failed()) {
      loop_.backend().StartSend(*this, {&files_->zeros(), 1});
    } else {
      loop_.backend().StartSendFile(*this, files_->range());
    }
  } else if (send_is_lazy_) {
    loop_.backend().StartLazySend(*this, {&sending_.content(), 1});
  } else {
    loop_.backend().StartSend(*this, {&sending_.content(), 1});
  }
}

void Connection::DropFiles() {
  if (files_ == nullptr) return;
  files_->Clear(pool());
  files_.reset();
}

}  // namespace quintet
