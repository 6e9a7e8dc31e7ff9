#include "net/files/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/files/partial_file.h"

namespace quintet::files {
namespace {

constexpr uint64_t kNoLinks = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

Duration Since1970(const timespec& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Whoever makes an upload has its file locked; who has the lock of a file that still has its name
// may remove it.
bool RemoveUnlocked(int directory, const char* name, ino_t inode) {
  const int64_t opened =
      OpenBeneath(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, kNoLinks);
  if (opened < 0) return false;
  const UniqueFd file(static_cast<int>(opened));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0 || status.st_ino != inode) return false;
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  return status.st_ino == inode && ::unlinkat(directory, name, 0) == 0;
}

}  // namespace

TreeWalk WalkTree(const FileStore& store, Duration lifetime) {
  TreeWalk walk;
  timespec time = {};
  ::clock_gettime(CLOCK_REALTIME, &time);
  const Duration now = Since1970(time);
  std::vector<std::string> directories = {"."};
  while (!directories.empty()) {
    const std::string path = std::move(directories.back());
    directories.pop_back();
    const int64_t opened = OpenBeneath(store.root(), path, O_RDONLY | O_DIRECTORY, 0, kNoLinks);
    if (opened < 0) continue;
    UniqueFd fd(static_cast<int>(opened));
    const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
    if (directory == nullptr) continue;
    const int number = fd.Release();  // the stream's now
    while (const dirent* const found = ::readdir(directory.get())) {
      const std::string_view name = found->d_name;
      struct stat status = {};
      if (name == "." || name == "..") continue;
      if (::fstatat(number, found->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(status.st_mode)) {
        directories.push_back(absl::StrCat(path, "/", found->d_name));
      } else if (S_ISREG(status.st_mode)) {
        const bool old = lifetime > Duration::zero() && IsPartialName(name) &&
                         now - Since1970(status.st_mtim) > lifetime;
        if (old && RemoveUnlocked(number, found->d_name, status.st_ino)) {
          ++walk.removed;
        } else {
          walk.bytes += static_cast<uint64_t>(status.st_size);
        }
      }
    }
  }
  return walk;
}

}  // namespace quintet::files
