#include "apps/files/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "net/errno_status.h"
#include "net/files/path.h"
#include "reactor/errno_text.h"
#include "reactor/file_request.h"

namespace quintet::files::app {
namespace {

// Read and sent at once. The output holds one, one waits, and one is being read.
constexpr size_t kReadBytes = 512 << 10;

int64_t ModifiedNs(const struct stat& file) {
  return int64_t{file.st_mtim.tv_sec} * 1'000'000'000 + file.st_mtim.tv_nsec;
}

// FNV-1a, 64 bits: the same in every process and on every machine.
class Fnv {
 public:
  void Add(std::string_view bytes) {
    for (const char byte : bytes) {
      hash_ = (hash_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
  }
  void Add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      hash_ = (hash_ ^ ((number >> shift) & 0xff)) * 0x100000001b3;
    }
  }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace

uint64_t UploadKey(const std::string& path, uint64_t size, int64_t modified_ns,
                   const std::string& remote) {
  Fnv key;
  // With their lengths, so that no two lists of parts are the same bytes.
  key.Add(uint64_t{path.size()});
  key.Add(path);
  key.Add(size);
  key.Add(static_cast<uint64_t>(modified_ns));
  key.Add(remote);
  return key.hash() == 0 ? 1 : key.hash();
}

Upload::Upload(EventLoop& loop, std::string local, std::string remote, UploadOptions options)
    : loop_(loop), local_(std::move(local)), remote_(std::move(remote)), options_(options) {}

void Upload::Start(ClientSession& session, Done done) {
  session_ = nullptr;
  done_ = std::move(done);
  // A FIFO would wait for its other end.
  file_.Reset(::open(local_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat file {};
  if (!file_.valid() || ::fstat(file_.get(), &file) != 0) return FailLocally(ErrnoText(errno));
  if (!S_ISREG(file.st_mode)) {
    return FailLocally(S_ISDIR(file.st_mode) ? "is a directory; -r puts all that is in it"
                                             : "is not a regular file");
  }
  size_ = static_cast<uint64_t>(file.st_size);
  modified_ns_ = ModifiedNs(file);
  std::unique_ptr<char, decltype(&::free)> absolute(::realpath(local_.c_str(), nullptr), ::free);
  const uint64_t key =
      UploadKey(absolute != nullptr ? absolute.get() : local_, size_, modified_ns_, remote_);
  session_ = &session;
  request_ = session.Put({.size = size_, .key = key, .path = remote_},
                         {.resume = options_.resume, .make_directories = options_.make_directories},
                         *this);
}

void Upload::OnResume(uint64_t offset) {
  prefix_ = offset;
  crc_ = 0;
  read_ = 0;
  ReadPrefix();
}

void Upload::ReadPrefix() {
  busy_ = true;
  reading_.resize(kReadBytes);
  const size_t length = static_cast<size_t>(std::min<uint64_t>(kReadBytes, prefix_ - read_));
  loop_.StartFile(FileRequest::Read(file_.get(), reading_.data(), length, read_),
                  [self = shared_from_this()](int64_t result) {
                    self->busy_ = false;
                    if (self->ended_) return self->EndWith(std::nullopt);
                    if (result <= 0) {
                      return self->FailLocally(result < 0 ? ErrnoText(static_cast<int>(-result))
                                                          : "became shorter");
                    }
                    const auto size = static_cast<size_t>(result);
                    self->crc_ = Crc32c(std::string_view(self->reading_.data(), size), self->crc_);
                    self->read_ += size;
                    if (self->read_ < self->prefix_) return self->ReadPrefix();
                    self->session_->ContinuePut(self->request_, self->crc_);
                  });
}

void Upload::OnRoom(uint64_t offset) {
  room_ = true;
  if (sent_ != offset || (piece_.empty() && !busy_)) {
    // The beginning, or a new one. What was read ahead for another place is of no use.
    assert(!busy_ || sent_ == offset);
    sent_ = read_ = offset;
    piece_.clear();
  }
  SendMore();
}

void Upload::ReadMore() {
  if (busy_ || read_ == size_ || !piece_.empty()) return;
  busy_ = true;
  reading_.resize(kReadBytes);
  const size_t length = static_cast<size_t>(std::min<uint64_t>(kReadBytes, size_ - read_));
  loop_.StartFile(FileRequest::Read(file_.get(), reading_.data(), length, read_),
                  [self = shared_from_this()](int64_t result) { self->OnRead(result); });
}

void Upload::OnRead(int64_t result) {
  busy_ = false;
  if (ended_) return EndWith(std::nullopt);
  if (result <= 0) {
    return FailLocally(result < 0 ? ErrnoText(static_cast<int>(-result)) : "became shorter");
  }
  reading_.resize(static_cast<size_t>(result));
  piece_.swap(reading_);
  read_ += piece_.size();
  SendMore();
}

void Upload::SendMore() {
  if (room_ && !piece_.empty()) {
    sent_ += piece_.size();
    room_ = session_->SendPut(request_, piece_);
    piece_.clear();
  }
  if (sent_ < size_) return ReadMore();
  if (!Unchanged()) return FailLocally("was changed while it was sent");
  session_->FinishPut(request_);
}

bool Upload::Unchanged() const {
  struct stat file {};
  return ::fstat(file_.get(), &file) == 0 && static_cast<uint64_t>(file.st_size) == size_ &&
         ModifiedNs(file) == modified_ns_;
}

void Upload::OnPutDone(const std::optional<ClientError>& error, const Entry&) {
  session_ = nullptr;
  if (!error.has_value()) return EndWith(std::nullopt);
  EndWith(FailureOf(*error, SafeText(remote_) + ": " + error->ToString()));
}

void Upload::Cancel() {
  done_ = nullptr;
  if (session_ != nullptr) std::exchange(session_, nullptr)->Cancel(request_);
  EndWith(std::nullopt);
}

void Upload::FailLocally(const std::string& text) {
  if (session_ != nullptr) std::exchange(session_, nullptr)->Cancel(request_);
  EndWith(TransferFailure{.code = ExitCode::kFailure, .text = SafeText(local_) + ": " + text});
}

void Upload::EndWith(std::optional<TransferFailure> failure) {
  ended_ = true;
  if (done_ == nullptr) return;
  loop_.Defer([self = shared_from_this(), failure = std::move(failure),
               done = std::exchange(done_, nullptr)]() mutable { done(failure); });
}

}  // namespace quintet::files::app
