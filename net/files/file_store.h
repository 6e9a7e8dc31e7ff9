// The files below one directory, and nothing else.
#ifndef QUINTET_NET_FILES_FILE_STORE_H_
#define QUINTET_NET_FILES_FILE_STORE_H_

#include <linux/openat2.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "net/files/messages.h"
#include "net/unique_fd.h"

namespace quintet::files {

// A path in two: the directory, empty for the root, and the name in it.
struct SplitPath {
  explicit SplitPath(std::string_view path);

  std::string directory;
  std::string name;
};

// Every path goes through openat2(2) with RESOLVE_BENEATH, so that neither ".." nor a symbolic link
// leads out of the root, also where somebody changes the tree meanwhile. Paths are valid ones
// (net/files/path.h), or empty for the root itself.
//
// Unchanging; any thread. What is said to block belongs on a thread that may (FileRequest::Call).
// Results are 0 or -errno where nothing else is said; -ENXIO and -EISDIR are something that is not
// a regular file.
class FileStore {
 public:
  // How often an open is tried again that met a rename on its way (EAGAIN, openat2(2)).
  static constexpr int kOpenAttempts = 16;

  // Blocks. Errors: those of open(2) for the directory (NotFound, PermissionDenied, ...);
  // FailedPrecondition for what is none; Unimplemented where the kernel, or a filter before it, has
  // no openat2(2) (Linux 5.6): there is no safe way without.
  static absl::StatusOr<std::unique_ptr<const FileStore>> Open(const std::string& root);

  // With ReadHow() for FileRequest::Open(). A fifo does not block the open (O_NONBLOCK); what has
  // been opened is to be checked with StatFile().
  int root() const { return root_.get(); }
  static open_how ReadHow();

  // Does not block. Of an open file, which must be a regular one.
  static int64_t StatFile(int fd, std::string_view name, Entry& entry);

  // What is made on the way to a directory that is not there.
  struct Making {
    mode_t mode = 0755;
    bool durable = false;  // fsync(2) for the directory above
  };
  // Block.
  int64_t OpenDirectory(std::string_view path, int flags, UniqueFd& directory,
                        const Making* making = nullptr) const;
  int64_t OpenFile(const std::string& path, int flags, UniqueFd& file) const;
  int64_t Stat(const std::string& path, Entry& entry) const;
  // A file, or a symbolic link by itself. `*freed`: bytes that it had.
  int64_t Delete(const std::string& path, uint64_t* freed) const;
  // Of a file, in place of another that there may be (-EEXIST: of a directory), or of a directory,
  // in place of nothing. `*freed`: bytes that the other had.
  int64_t Rename(const std::string& from, const std::string& to, uint64_t* freed) const;

 private:
  explicit FileStore(UniqueFd root) : root_(std::move(root)) {}

  const UniqueFd root_;
};

// openat2(2) below `directory`, with O_CLOEXEC, tried again after EAGAIN. The descriptor or -errno.
int64_t OpenBeneath(int directory, const std::string& path, int flags, mode_t mode = 0,
                    uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

// Another value, never 0, whenever the content may be another: from inode, size and times.
uint64_t TagOf(const struct stat& status);
Entry EntryOf(const struct stat& status, std::string_view name);
// 0 for a regular file, -EISDIR for a directory, -ENXIO for anything else.
int64_t CheckRegular(const struct stat& status);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_FILE_STORE_H_
