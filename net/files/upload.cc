#include "net/files/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <span>
#include <vector>

#include "net/files/crc32c.h"
#include "net/files/file_error.h"

namespace quintet::files {
namespace {

constexpr size_t kCheckBufferBytes = 256 << 10;

ErrorMessage NoRoom() { return {ErrorCode::kQuota, "the files of this server are at their limit"}; }

}  // namespace

Upload::Upload(std::shared_ptr<ServerContext> context, std::shared_ptr<Disk> disk,
               const PutMessage& message, bool resume, bool make_directories)
    : context_(std::move(context)),
      disk_(std::move(disk)),
      target_{.path = message.path,
              .key = message.key,
              .resume = resume,
              .size = message.size,
              .mode = context_->options().file_mode},
      making_{.mode = context_->options().directory_mode,
              .durable = context_->options().durability == Durability::kDirectory},
      size_(message.size) {
  if (make_directories) target_.making = &making_;
}

Upload::~Upload() {
  // The loop has gone in the middle of a step.
  if (!committed_ && !resumable()) file_.Discard();
}

void Upload::StartDisk(FileRequest request, void (Upload::*then)(int64_t)) {
  disk_->Start(std::move(request),
               [owner = owner_.lock(), this, then](int64_t result) { (this->*then)(result); });
}

void Upload::Finish(Failure failure) { std::exchange(done_, nullptr)(std::move(failure)); }

void Upload::Finish(int64_t result) {
  if (result < 0) return Finish(FromErrno(static_cast<int>(-result)));
  Finish(std::nullopt);
}

// ---- Open ----

void Upload::Open(std::weak_ptr<void> owner, Done done) {
  assert(!busy());
  owner_ = std::move(owner);
  done_ = std::move(done);
  StartDisk(FileRequest::Call([this] { return file_.Open(context_->store(), target_); }),
            &Upload::OnOpened);
}

void Upload::OnOpened(int64_t result) {
  if (result < 0) return Finish(result);
  context_->quota().Freed(file_.dropped_bytes());
  written_ = file_.found_bytes();
  if (size_ != kUnknown && !room_.Reserve(context_->quota(), size_ - written_)) {
    return Finish(NoRoom());
  }
  CheckMore();
}

void Upload::CheckMore() {
  if (checked_ == written_) return Finish(std::nullopt);
  StartDisk(FileRequest::Call([this] { return CheckPart(); }), &Upload::OnChecked);
}

int64_t Upload::CheckPart() {
  const uint64_t end = std::min(written_, checked_ + kCheckedBytes);
  std::vector<char> buffer(kCheckBufferBytes);
  while (checked_ < end) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - checked_));
    FileRequest read = FileRequest::Read(file_.fd(), buffer.data(), wanted, checked_);
    const int64_t count = PerformFileRequest(read);
    if (count < 0) return count;
    if (count == 0) return -EIO;  // shorter than it was, although it is locked
    crc_ = Crc32c(std::string_view(buffer.data(), static_cast<size_t>(count)), crc_);
    checked_ += static_cast<uint64_t>(count);
  }
  return 0;
}

void Upload::OnChecked(int64_t result) {
  if (result < 0) return Finish(result);
  CheckMore();
}

// ---- Write ----

void Upload::Write(std::string& bytes, Done done) {
  assert(!busy());
  done_ = std::move(done);
  buffer_.clear();
  buffer_.swap(bytes);
  buffer_done_ = 0;
  if (size_ == kUnknown && !room_.Reserve(context_->quota(), buffer_.size())) {
    return Finish(NoRoom());
  }
  WriteRest();
}

void Upload::WriteRest() {
  StartDisk(FileRequest::Write(file_.fd(), buffer_.data() + buffer_done_,
                               buffer_.size() - buffer_done_, written_),
            &Upload::OnWritten);
}

void Upload::OnWritten(int64_t result) {
  if (result < 0) return Finish(result);
  const auto count = static_cast<size_t>(result);
  room_.Wrote(count);
  written_ += count;
  buffer_done_ += count;
  if (buffer_done_ < buffer_.size()) return WriteRest();
  Finish(std::nullopt);
}

// ---- Commit ----

void Upload::Commit(Done done) {
  assert(!busy());
  done_ = std::move(done);
  if (context_->options().durability == Durability::kNone) return OnSynced(0);
  StartDisk(FileRequest::Sync(file_.fd()), &Upload::OnSynced);
}

void Upload::OnSynced(int64_t result) {
  if (result < 0) return Finish(result);
  if (!context_->quota().limits_bytes()) return Rename();
  LookAtReplaced();
}

void Upload::LookAtReplaced() {
  const auto look = [this]() -> int64_t {
    struct stat status = {};
    if (::fstatat(file_.directory(), file_.name().c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode) && status.st_nlink == 1) {
      replaced_bytes_ = static_cast<uint64_t>(status.st_size);
    }
    return 0;
  };
  disk_->Start(FileRequest::Call(look),
               [owner = owner_.lock(), this](int64_t /*result*/) { Rename(); });
}

void Upload::Rename() {
  StartDisk(FileRequest::Rename(file_.directory(), file_.partial_name().c_str(), file_.directory(),
                                file_.name().c_str()),
            &Upload::OnRenamed);
}

void Upload::OnRenamed(int64_t result) {
  // The kernel's words for a directory that has the name by now.
  if (result == -EISDIR || result == -ENOTEMPTY) result = -EEXIST;
  if (result < 0) return Finish(result);
  committed_ = true;
  context_->quota().Freed(replaced_bytes_);
  if (context_->options().durability != Durability::kDirectory) return OnDirectorySynced(0);
  StartDisk(FileRequest::Sync(file_.directory()), &Upload::OnDirectorySynced);
}

void Upload::OnDirectorySynced(int64_t result) {
  disk_->Start(FileRequest::Call([this]() -> int64_t {
                 const int64_t looked = FileStore::StatFile(file_.fd(), file_.name(), entry_);
                 file_.Close();
                 return looked;
               }),
               [owner = owner_.lock(), this, result](int64_t looked) {
                 Finish(result < 0 ? result : looked);
               });
}

// ---- End ----

void Upload::End(std::optional<uint64_t> kept_bytes, Done done) {
  assert(!busy());
  done_ = std::move(done);
  kept_bytes_ = resumable() ? std::min(kept_bytes.value_or(0), written_) : 0;
  StartDisk(FileRequest::Call([this]() -> int64_t {
              if (!file_.open()) return 0;
              if (committed_) {
                file_.Close();
                return 0;
              }
              return kept_bytes_ > 0 ? file_.Keep(kept_bytes_) : file_.Discard();
            }),
            &Upload::OnEnded);
}

void Upload::OnEnded(int64_t result) {
  if (result == 0 && !committed_) context_->quota().Freed(written_ - kept_bytes_);
  Finish(result);
}

}  // namespace quintet::files
