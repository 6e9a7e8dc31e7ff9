// A file on its way to its name.
#ifndef QUINTET_NET_FILES_UPLOAD_H_
#define QUINTET_NET_FILES_UPLOAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "net/files/disk.h"
#include "net/files/messages.h"
#include "net/files/partial_file.h"
#include "net/files/quota.h"
#include "net/files/server_context.h"

namespace quintet::files {

// The steps of a put on the disk, one at a time: Open(), Write() any number of times, then Commit()
// or End(). Each tells when it is over. A step that is under way holds the owner, of which this is
// a part, so that nothing goes that it works with.
//
// The file appears by rename(2) alone, behind all that it needs: after a crash at any point it is
// whole or absent.
class Upload {
 public:
  // Nothing: it has succeeded.
  using Failure = std::optional<ErrorMessage>;
  using Done = absl::AnyInvocable<void(Failure)>;

  // What is read at once for the CRC of what is there: other operations get their turn between.
  static constexpr uint64_t kCheckedBytes = 16 << 20;

  Upload(std::shared_ptr<ServerContext> context, std::shared_ptr<Disk> disk,
         const PutMessage& message, bool resume, bool make_directories);
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // `owner` is what this lives in. Then written_bytes() are there from before, and crc() is theirs.
  void Open(std::weak_ptr<void> owner, Done done);
  // Behind what is there. Takes `bytes` and leaves an empty string with room in their place.
  void Write(std::string& bytes, Done done);
  // Gives it its name. Then entry() says what it is, and it is closed.
  void Commit(Done done);
  // Closes it. Keeps so many bytes of it, where a later upload can find them, or removes it.
  // Nothing may be left out but where the loop is gone.
  void End(std::optional<uint64_t> kept_bytes, Done done);

  uint64_t written_bytes() const { return written_; }
  uint32_t crc() const { return crc_; }
  const Entry& entry() const { return entry_; }
  bool busy() const { return done_ != nullptr; }
  // Can be found again by its key.
  bool resumable() const { return target_.key != 0; }

 private:
  void StartDisk(FileRequest request, void (Upload::*then)(int64_t));
  void Finish(Failure failure);
  void Finish(int64_t result);

  void OnOpened(int64_t result);
  void CheckMore();
  int64_t CheckPart();
  void OnChecked(int64_t result);

  void WriteRest();
  void OnWritten(int64_t result);

  void LookAtReplaced();
  void OnSynced(int64_t result);
  void Rename();
  void OnRenamed(int64_t result);
  void OnDirectorySynced(int64_t result);

  void OnEnded(int64_t result);

  const std::shared_ptr<ServerContext> context_;
  const std::shared_ptr<Disk> disk_;
  PartialFile::Target target_;
  FileStore::Making making_;
  const uint64_t size_;  // as announced, or kUnknown
  std::weak_ptr<void> owner_;
  Done done_;  // of the step that is under way
  Quota::Room room_;
  PartialFile file_;
  uint64_t written_ = 0;
  uint64_t checked_ = 0;
  uint32_t crc_ = 0;
  std::string buffer_;
  size_t buffer_done_ = 0;
  uint64_t replaced_bytes_ = 0;
  uint64_t kept_bytes_ = 0;
  bool committed_ = false;
  Entry entry_;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_UPLOAD_H_
