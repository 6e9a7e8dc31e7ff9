#include "net/files/file_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "reactor/file_request.h"

namespace quintet::files {
namespace {

constexpr uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;

// O_NOCTTY: a terminal below the root becomes nobody's.
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

open_how How(int flags, mode_t mode, uint64_t resolve) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = resolve;
  return how;
}

// splitmix64's finalizer: each bit of the input changes half of the output.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

uint64_t Nanoseconds(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

SplitPath::SplitPath(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) directory = path.substr(0, slash);
  name = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
}

uint64_t TagOf(const struct stat& status) {
  uint64_t tag = Mix(status.st_ino);
  tag = Mix(tag ^ static_cast<uint64_t>(status.st_size));
  tag = Mix(tag ^ Nanoseconds(status.st_mtim));
  tag = Mix(tag ^ Nanoseconds(status.st_ctim));
  return tag != 0 ? tag : 1;
}

Entry EntryOf(const struct stat& status, std::string_view name) {
  const bool directory = S_ISDIR(status.st_mode);
  return {.kind = directory ? EntryKind::kDirectory : EntryKind::kFile,
          .size = directory ? 0 : static_cast<uint64_t>(status.st_size),
          .modified = static_cast<int64_t>(Nanoseconds(status.st_mtim)),
          .tag = TagOf(status),
          .name = std::string(name)};
}

int64_t CheckRegular(const struct stat& status) {
  if (S_ISREG(status.st_mode)) return 0;
  return S_ISDIR(status.st_mode) ? -EISDIR : -ENXIO;
}

int64_t OpenBeneath(int directory, const std::string& path, int flags, mode_t mode,
                    uint64_t resolve) {
  const open_how how = How(flags, mode, resolve);
  int64_t result = -EAGAIN;
  for (int i = 0; i < FileStore::kOpenAttempts && result == -EAGAIN; ++i) {
    FileRequest request = FileRequest::Open(directory, path.c_str(), how);
    result = PerformFileRequest(request);
  }
  return result;
}

absl::StatusOr<std::unique_ptr<const FileStore>> FileStore::Open(const std::string& root) {
  UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("the root ", root));
  const int64_t tried = OpenBeneath(fd.get(), ".", O_PATH | O_DIRECTORY);
  if (tried < 0) {
    const int error = static_cast<int>(-tried);
    if (error != ENOSYS && error != EPERM) return ErrnoStatus(error, "openat2");
    // Filters of old container engines answer EPERM to calls that they do not know.
    return absl::UnimplementedError(
        "files are served through openat2(2), which this system does not have or does not allow "
        "(Linux 5.6)");
  }
  const UniqueFd close(static_cast<int>(tried));
  return std::unique_ptr<const FileStore>(new FileStore(std::move(fd)));
}

open_how FileStore::ReadHow() { return How(kReadFlags, 0, kResolve); }

int64_t FileStore::StatFile(int fd, std::string_view name, Entry& entry) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return -errno;
  if (const int64_t error = CheckRegular(status); error != 0) return error;
  entry = EntryOf(status, name);
  return 0;
}

int64_t FileStore::OpenDirectory(std::string_view path, int flags, UniqueFd& directory,
                                 const Making* making) const {
  const std::string whole(path.empty() ? "." : path);
  int64_t opened = OpenBeneath(root(), whole, flags | O_DIRECTORY);
  if (opened == -ENOENT && making != nullptr && !path.empty()) {
    // One after the other, each by its whole path: a link in it may lead up, as long as it stays
    // below the root.
    UniqueFd above;
    if (const int64_t error = OpenDirectory("", O_RDONLY, above); error != 0) return error;
    for (size_t end = 0; end != path.size();) {
      const size_t begin = end == 0 ? 0 : end + 1;
      end = std::min(path.find('/', begin), path.size());
      const std::string prefix(path.substr(0, end));
      opened = OpenBeneath(root(), prefix, O_RDONLY | O_DIRECTORY);
      if (opened == -ENOENT) {
        const std::string name(path.substr(begin, end - begin));
        if (::mkdirat(above.get(), name.c_str(), making->mode) != 0 && errno != EEXIST) {
          return -errno;
        }
        if (making->durable && ::fsync(above.get()) != 0) return -errno;
        opened = OpenBeneath(root(), prefix, O_RDONLY | O_DIRECTORY);
      }
      if (opened < 0) return opened;
      above.Reset(static_cast<int>(opened));
    }
    opened = OpenBeneath(root(), whole, flags | O_DIRECTORY);
  }
  if (opened < 0) return opened;
  directory.Reset(static_cast<int>(opened));
  return 0;
}

int64_t FileStore::OpenFile(const std::string& path, int flags, UniqueFd& file) const {
  const int64_t opened = OpenBeneath(root(), path, flags);
  if (opened < 0) return opened;
  file.Reset(static_cast<int>(opened));
  return 0;
}

int64_t FileStore::Stat(const std::string& path, Entry& entry) const {
  UniqueFd file;
  if (const int64_t error = OpenFile(path, O_PATH, file); error != 0) return error;
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) return -errno;
  const int64_t error = CheckRegular(status);
  if (error != 0 && error != -EISDIR) return error;
  entry = EntryOf(status, SplitPath(path).name);
  return 0;
}

int64_t FileStore::Delete(const std::string& path, uint64_t* freed) const {
  const SplitPath split(path);
  UniqueFd directory;
  if (const int64_t error = OpenDirectory(split.directory, O_PATH, directory); error != 0) {
    return error;
  }
  struct stat status = {};
  if (::fstatat(directory.get(), split.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return -errno;
  }
  const bool link = S_ISLNK(status.st_mode);
  if (const int64_t error = CheckRegular(status); error != 0 && !link) return error;
  if (::unlinkat(directory.get(), split.name.c_str(), 0) != 0) return -errno;
  *freed = link || status.st_nlink > 1 ? 0 : static_cast<uint64_t>(status.st_size);
  return 0;
}

int64_t FileStore::Rename(const std::string& from, const std::string& to, uint64_t* freed) const {
  const SplitPath source(from);
  const SplitPath target(to);
  UniqueFd source_directory;
  UniqueFd target_directory;
  if (const int64_t error = OpenDirectory(source.directory, O_PATH, source_directory); error != 0) {
    return error;
  }
  if (const int64_t error = OpenDirectory(target.directory, O_PATH, target_directory); error != 0) {
    return error;
  }
  struct stat status = {};
  if (::fstatat(source_directory.get(), source.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return -errno;
  }
  const bool directory = S_ISDIR(status.st_mode);
  if (!directory && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) return -ENXIO;
  struct stat replaced = {};
  if (::fstatat(target_directory.get(), target.name.c_str(), &replaced, AT_SYMLINK_NOFOLLOW) == 0) {
    // rename(2) would put a directory in place of an empty one.
    if (directory || S_ISDIR(replaced.st_mode)) return -EEXIST;
    if (!S_ISREG(replaced.st_mode) && !S_ISLNK(replaced.st_mode)) return -ENXIO;
    const bool same = replaced.st_ino == status.st_ino && replaced.st_dev == status.st_dev;
    if (S_ISREG(replaced.st_mode) && replaced.st_nlink == 1 && !same) {
      *freed = static_cast<uint64_t>(replaced.st_size);
    }
  } else if (errno != ENOENT) {
    return -errno;
  }
  const unsigned flags = directory ? RENAME_NOREPLACE : 0;
  if (::renameat2(source_directory.get(), source.name.c_str(), target_directory.get(),
                  target.name.c_str(), flags) != 0) {
    return errno == EISDIR ? -EEXIST : -errno;
  }
  return 0;
}

}  // namespace quintet::files
