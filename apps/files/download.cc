#include "apps/files/download.h"

#include <unistd.h>

#include <cassert>
#include <utility>

#include "net/errno_status.h"
#include "net/files/frame.h"
#include "net/files/path.h"
#include "reactor/file_request.h"

namespace quintet::files::app {
namespace {

// Written at once. Twice as many wait at most: so many are being written, and so many arrive.
constexpr size_t kWriteBytes = 1 << 20;
// What a request that goes on asks for once more: of the last DATA frame it is not known whether it
// was whole (docs/files-protocol.md, "GET").
constexpr uint64_t kStepBack = kMaxDataPayload;

}  // namespace

Download::Download(EventLoop& loop, std::string remote, std::string local, DownloadOptions options)
    : loop_(loop), remote_(std::move(remote)), local_(std::move(local)), options_(options) {}

void Download::Start(ClientSession& session, Done done) {
  session_ = &session;
  done_ = std::move(done);
  if (options_.resume && ::access(PartPath(local_).c_str(), F_OK) == 0 && !OpenPart()) return;
  resumed_ = part_.has_value() && part_->tag().has_value() && part_->size() > kStepBack;
  Ask();
}

void Download::Ask() {
  received_ = written_ = resumed_ ? part_->size() - kStepBack : 0;
  request_ = session_->Get({.offset = written_,
                            .length = kUnknown,
                            .tag = resumed_ ? *part_->tag() : 0,
                            .path = remote_},
                           options_.verify, *this);
}

bool Download::OpenPart() {
  absl::StatusOr<PartFile> part = PartFile::Open(local_);
  if (part.ok()) {
    part_ = *std::move(part);
  } else {
    FailLocally(part.status());
  }
  return part_.has_value();
}

void Download::OnInfo(const Entry& entry) {
  total_ = entry.size;
  if (!part_.has_value() && !OpenPart()) return;
  const absl::Status status = resumed_ ? part_->Truncate(written_) : part_->Begin(entry.tag);
  if (!status.ok()) FailLocally(status);
}

void Download::OnPiece(std::string_view bytes) {
  arriving_.append(bytes);
  received_ += bytes.size();
  if (arriving_.size() < kWriteBytes) return;
  if (busy_) {
    session_->PauseGet(request_);
  } else {
    WriteMore();
  }
}

void Download::OnGetDone(const std::optional<ClientError>& error) {
  ClientSession* const session = std::exchange(session_, nullptr);
  if (!error.has_value()) {
    all_here_ = true;
    if (!busy_) WriteMore();
    return;
  }
  if (resumed_ && error->code == ErrorCode::kChanged && !error->connection_lost()) {
    // What is there is a part of another file.
    resumed_ = false;
    arriving_.clear();
    session_ = session;
    return Ask();
  }
  EndWith(FailureOf(*error, SafeText(remote_) + ": " + error->ToString()));
}

void Download::WriteMore() {
  assert(!busy_);
  if (taken_ == writing_.size()) {
    writing_.clear();
    taken_ = 0;
    if (arriving_.size() >= kWriteBytes || all_here_) {
      writing_.swap(arriving_);
      if (session_ != nullptr) session_->ResumeGet(request_);
    }
  }
  if (writing_.empty()) {
    if (all_here_) Publish();
    return;
  }
  busy_ = true;
  loop_.StartFile(FileRequest::Write(part_->descriptor(), writing_.data() + taken_,
                                     writing_.size() - taken_, written_),
                  [self = shared_from_this()](int64_t result) { self->OnWritten(result); });
}

void Download::OnWritten(int64_t result) {
  busy_ = false;
  if (ended_) return EndWith(std::move(failure_));
  if (result <= 0) {
    return FailLocally(ErrnoStatus(result < 0 ? static_cast<int>(-result) : EIO, SafeText(local_)));
  }
  taken_ += static_cast<size_t>(result);
  written_ += static_cast<uint64_t>(result);
  WriteMore();
}

void Download::Publish() {
  busy_ = true;
  // The rename, too, may wait for the disk.
  loop_.StartFile(
      FileRequest::Call([this]() -> int64_t {
        if (options_.sync && ::fsync(part_->descriptor()) != 0) return -errno;
        return 0;
      }),
      [self = shared_from_this()](int64_t result) {
        self->busy_ = false;
        if (self->ended_) return self->EndWith(std::move(self->failure_));
        if (result < 0) {
          return self->FailLocally(ErrnoStatus(static_cast<int>(-result), SafeText(self->local_)));
        }
        if (absl::Status status = self->part_->Publish(); !status.ok()) {
          return self->FailLocally(status);
        }
        self->EndWith(std::nullopt);
      });
}

void Download::Cancel() {
  done_ = nullptr;
  if (session_ != nullptr) std::exchange(session_, nullptr)->Cancel(request_);
  EndWith(std::nullopt);
}

void Download::FailLocally(absl::Status status) {
  if (session_ != nullptr) std::exchange(session_, nullptr)->Cancel(request_);
  EndWith(TransferFailure{.code = ExitCode::kFailure, .text = std::string(status.message())});
}

void Download::EndWith(std::optional<TransferFailure> failure) {
  ended_ = true;
  failure_ = std::move(failure);
  if (busy_) return;
  // What has arrived is not lost: with a resume it is there.
  if (failure_.has_value() || done_ == nullptr) {
    if (part_.has_value() && written_ == 0) part_->Discard();
  }
  part_.reset();
  if (done_ == nullptr) return;
  loop_.Defer([self = shared_from_this(), done = std::exchange(done_, nullptr)]() mutable {
    done(self->failure_);
  });
}

}  // namespace quintet::files::app
