#include "net/files/get_transfer.h"

#include <errno.h>

#include <algorithm>
#include <string_view>

#include "net/files/file_error.h"

namespace quintet::files {
namespace {

ErrorMessage Shorter() { return {ErrorCode::kChanged, "the file has become shorter"}; }

}  // namespace

void GetTransfer::Start() {
  if (!slot_.Begin(context().quota())) {
    return EndWithError({ErrorCode::kBusy, "too many transfers"});
  }
  Open();
}

void GetTransfer::Open() {
  ++open_attempts_;
  StartDisk(
      FileRequest::Open(context().store().root(), message_.path.c_str(), FileStore::ReadHow()),
      &GetTransfer::OnOpened);
}

void GetTransfer::OnOpened(int64_t result) {
  if (result == -EAGAIN && !over() && open_attempts_ < FileStore::kOpenAttempts) return Open();
  if (result >= 0) file_ = std::make_shared<const UniqueFd>(static_cast<int>(result));
  if (over()) return;
  if (result >= 0) {
    // Of an open file, of which everything is in memory: does not block.
    result = FileStore::StatFile(file_->get(), SplitPath(message_.path).name, entry_);
  }
  if (result < 0) return EndWithError(FromErrno(static_cast<int>(-result)));
  if (message_.tag != 0 && message_.tag != entry_.tag) {
    return EndWithError({ErrorCode::kChanged, "the file is another one now"});
  }
  position_ = std::min(message_.offset, entry_.size);
  end_ = position_ + std::min(message_.length, entry_.size - position_);
  Prepare();
}

void GetTransfer::Prepare() {
  const uint64_t left = end_ - position_;
  if (left == 0) {
    state_ = State::kEnding;
    return;
  }
  state_ = State::kPreparing;
  piece_bytes_ = std::min({left, uint64_t{kFilePieceBytes}, uint64_t{host().max_data_bytes()}});
  from_file_ = !verify_ && piece_bytes_ >= context().options().send_file_from_bytes;
  if (from_file_) {
    // Who blocks for the disk anyway need not be warmed.
    if (disk()->in_place() || FileIsWarm(file_->get(), position_, piece_bytes_)) {
      state_ = State::kReady;
    } else {
      StartDisk(FileRequest::Warm(file_->get(), position_, piece_bytes_), &GetTransfer::OnWarm);
    }
    return;
  }
  piece_bytes_ = std::min(piece_bytes_, kReadBytes);
  piece_.resize(piece_bytes_);
  StartDisk(FileRequest::Read(file_->get(), piece_.data(), piece_bytes_, position_),
            &GetTransfer::OnRead);
}

// Whatever it came to: what cannot be read is found out by who sends it.
void GetTransfer::OnWarm(int64_t /*result*/) { state_ = State::kReady; }

void GetTransfer::OnRead(int64_t result) {
  if (over()) return;
  if (result < 0) return EndWithError(FromErrno(static_cast<int>(-result)));
  if (result == 0) return EndWithError(Shorter());
  piece_bytes_ = static_cast<size_t>(result);
  state_ = State::kReady;
}

void GetTransfer::SendNext() {
  if (!info_sent_) {
    info_sent_ = true;
    std::string info;
    AppendEntry(info, entry_);
    host().Send(FrameType::kInfo, 0, id(), info);
  }
  if (state_ == State::kEnding) return EndWell();
  if (from_file_) {
    host().SendFile(id(), file_, position_, static_cast<uint32_t>(piece_bytes_));
  } else {
    host().Send(FrameType::kData, 0, id(), std::string_view(piece_).substr(0, piece_bytes_));
  }
  Counters::Add(context().counters().bytes_out, piece_bytes_);
  position_ += piece_bytes_;
  Prepare();
  if (state_ == State::kEnding && !from_file_) EndWell();
}

void GetTransfer::EndWell() {
  Counters::Add(context().counters().gets, 1);
  End(FrameType::kEnd, {});
}

void GetTransfer::OnFileShort() { EndWithError(Shorter()); }

}  // namespace quintet::files
