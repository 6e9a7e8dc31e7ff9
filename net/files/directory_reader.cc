#include "net/files/directory_reader.h"

#include <errno.h>
#include <fcntl.h>

#include <string_view>

#include "absl/strings/str_cat.h"

namespace quintet::files {

int64_t DirectoryReader::Open() {
  UniqueFd fd;
  if (const int64_t error = store_.OpenDirectory(path_, O_RDONLY, fd); error != 0) return error;
  directory_.reset(::fdopendir(fd.get()));
  if (directory_ == nullptr) return -errno;
  [[maybe_unused]] const int owned = fd.Release();
  return 0;
}

int64_t DirectoryReader::Read(std::string& payload, size_t limit) {
  payload.clear();
  while (payload.size() + kMaxEntryBytes <= limit) {
    errno = 0;
    const dirent* const found = ::readdir(directory_.get());
    if (found == nullptr) {
      at_end_ = true;
      return -errno;
    }
    Entry entry;
    if (Look(*found, entry)) AppendEntry(payload, entry);
  }
  return 0;
}

// False for what is not served, and for what went while it was looked at.
bool DirectoryReader::Look(const dirent& found, Entry& entry) const {
  const std::string_view name = found.d_name;
  if (name.empty() || name.front() == '.') return false;
  switch (found.d_type) {
    case DT_REG:
    case DT_LNK:
    case DT_UNKNOWN:
      break;
    case DT_DIR:
      if (!directories_) return false;
      break;
    default:
      return false;
  }
  struct stat status = {};
  const int fd = ::dirfd(directory_.get());
  if (::fstatat(fd, found.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (S_ISLNK(status.st_mode)) {
    UniqueFd target;
    const std::string path = path_.empty() ? found.d_name : absl::StrCat(path_, "/", found.d_name);
    if (store_.OpenFile(path, O_PATH, target) != 0) return false;
    if (::fstat(target.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  }
  if (!S_ISREG(status.st_mode) && !(directories_ && S_ISDIR(status.st_mode))) return false;
  entry = EntryOf(status, name);
  return true;
}

}  // namespace quintet::files
