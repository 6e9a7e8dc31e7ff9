#include "net/files/put_transfer.h"

#include <utility>

#include "net/files/crc32c.h"
#include "net/files/file_error.h"

namespace quintet::files {
namespace {

// Whether what is there may be gone on with: not where it is wrong, nor where it is in the way.
bool MayBeResumed(ErrorCode code) {
  switch (code) {
    case ErrorCode::kMismatch:
    case ErrorCode::kNoSpace:
    case ErrorCode::kQuota:
    case ErrorCode::kIo:
    case ErrorCode::kExists:
      return false;
    default:
      return true;
  }
}

}  // namespace

PutTransfer::PutTransfer(RequestHost& host, uint32_t id, PutMessage message, bool resume,
                         bool make_directories)
    : Request(host, id),
      message_(std::move(message)),
      resume_(resume),
      upload_(shared_context(), disk(), message_, resume, make_directories) {}

Upload::Done PutTransfer::Then(void (PutTransfer::*then)(const Upload::Failure&)) {
  return [this, then](const Upload::Failure& failure) { (this->*then)(failure); };
}

void PutTransfer::Start() {
  const uint64_t most = context().options().limits.file_bytes;
  if (most != 0 && message_.size != kUnknown && message_.size > most) {
    return EndWithError({ErrorCode::kQuota, "larger than a file may be"});
  }
  if (!slot_.Begin(context().quota())) {
    return EndWithError({ErrorCode::kBusy, "too many transfers"});
  }
  upload_.Open(weak_from_this(), Then(&PutTransfer::OnOpened));
}

void PutTransfer::OnOpened(const Upload::Failure& failure) {
  if (failure.has_value() && !failed_.has_value()) {
    failed_ = failure;
    keep_ = MayBeResumed(failure->code);
  }
  if (failed_.has_value() || over()) {
    intact_bytes_ = upload_.written_bytes();
    return EndUpload();
  }
  state_ = State::kReceiving;
  waits_since_ = host().now();
  host().Send(FrameType::kReady, 0, id(),
              Encode(ReadyMessage{.offset = upload_.written_bytes(), .crc = upload_.crc()}));
  if (resume_) {
    received_bytes_ = intact_bytes_ = upload_.written_bytes();
    crc_ = upload_.crc();
  }
  Continue();
}

bool PutTransfer::OnData(std::string_view piece) {
  if (over() || state_ == State::kEnding || failed_.has_value()) return true;  // of no use now
  // Where it goes is not known before READY, but for a put that begins at the beginning.
  if (finish_.has_value() || (state_ == State::kOpening && resume_)) return false;
  waits_since_ = host().now();
  received_bytes_ += piece.size();
  if (received_bytes_ > message_.size) {
    Fail({ErrorCode::kMismatch, "more than was announced"});
    return true;
  }
  const uint64_t most = context().options().limits.file_bytes;
  if (most != 0 && received_bytes_ > most) {
    Fail({ErrorCode::kQuota, "larger than a file may be"});
    return true;
  }
  crc_ = Crc32c(piece, crc_);
  gathered_.append(piece);
  Counters::Add(context().counters().bytes_in, piece.size());
  Continue();
  return true;
}

void PutTransfer::OnDataEnd(bool intact) {
  if (over() || failed_.has_value()) return;
  if (!intact) return Fail({ErrorCode::kCrc, "data with a wrong CRC"});
  intact_bytes_ = received_bytes_;
}

bool PutTransfer::OnFinish(const FinishMessage& message) {
  if (over() || failed_.has_value()) return true;
  if (finish_.has_value() || (state_ == State::kOpening && resume_)) return false;
  finish_ = message;
  Continue();
  return true;
}

void PutTransfer::OnInputEnd() {
  if (!finish_.has_value()) Fail({ErrorCode::kCancelled, "the connection ended before the file"});
}

// The next step, where none is under way.
void PutTransfer::Continue() {
  if (state_ != State::kReceiving || upload_.busy()) return;
  if (failed_.has_value() || over()) return EndUpload();
  if (!gathered_.empty()) {
    upload_.Write(gathered_, Then(&PutTransfer::OnWritten));
  } else if (finish_.has_value()) {
    Commit();
  }
}

void PutTransfer::OnWritten(const Upload::Failure& failure) {
  if (failure.has_value() && !failed_.has_value()) {
    failed_ = failure;
    keep_ = MayBeResumed(failure->code);
  }
  if (!over()) waits_since_ = host().now();
  Continue();
}

void PutTransfer::Commit() {
  const uint64_t size = message_.size == kUnknown ? finish_->size : message_.size;
  if (size != received_bytes_ || finish_->size != received_bytes_) {
    return Fail({ErrorCode::kMismatch, "the size is not what was announced"});
  }
  if (finish_->crc != crc_) return Fail({ErrorCode::kMismatch, "the CRC is not what it should be"});
  state_ = State::kCommitting;
  upload_.Commit(Then(&PutTransfer::OnCommitted));
}

void PutTransfer::OnCommitted(const Upload::Failure& failure) {
  if (failure.has_value()) {
    failed_ = failure;
    keep_ = MayBeResumed(failure->code);
    return EndUpload();
  }
  slot_.End();
  if (over()) return;
  Counters::Add(context().counters().puts, 1);
  std::string info;
  AppendEntry(info, upload_.entry());
  End(FrameType::kInfo, info);
}

void PutTransfer::Fail(const ErrorMessage& why) {
  if (over() || failed_.has_value() || state_ >= State::kCommitting) return;
  failed_ = why;
  keep_ = MayBeResumed(why.code);
  gathered_ = {};
  Continue();
}

void PutTransfer::OnAbandoned() {
  gathered_ = {};
  Continue();
}

void PutTransfer::EndUpload() {
  state_ = State::kEnding;
  gathered_ = {};
  upload_.End(keep_ ? std::optional(intact_bytes_) : std::nullopt,
              [this](const Upload::Failure&) { OnEnded(); });
}

void PutTransfer::OnEnded() {
  slot_.End();
  if (failed_.has_value()) EndWithError(*failed_);
}

bool PutTransfer::holds_input() const {
  if (over()) return false;
  // Another put to the same name may stand behind a cancel.
  return state_ == State::kEnding || failed_.has_value() || gathered_.size() >= kGatheredBytes;
}

}  // namespace quintet::files
