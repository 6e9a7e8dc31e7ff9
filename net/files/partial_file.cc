#include "net/files/partial_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace quintet::files {
namespace {

constexpr std::string_view kPrefix = ".quintet-";
constexpr std::string_view kSuffix = ".part";
constexpr size_t kDigits = 32;

// FNV-1a, 64 bits, of two different beginnings: what matters is that nobody meets another's name by
// accident. Who does so on purpose could as well put a file of the same name.
constexpr uint64_t kFnvPrime = 0x100000001b3;
constexpr uint64_t kFnvBasis = 0xcbf29ce484222325;
constexpr uint64_t kOtherBasis = 0x6c62272e07bb0142;

uint64_t Hash(std::string_view name, uint64_t key, uint64_t basis) {
  uint64_t hash = basis;
  for (int shift = 0; shift < 64; shift += 8) {
    hash = (hash ^ ((key >> shift) & 0xff)) * kFnvPrime;
  }
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return hash;
}

// The file under the name is the one that is open: nobody has renamed or removed it.
bool IsUnderName(int directory, const std::string& name, const struct stat& status) {
  struct stat named = {};
  return ::fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         named.st_ino == status.st_ino && named.st_dev == status.st_dev;
}

}  // namespace

std::string PartialName(std::string_view name, uint64_t key) {
  uint64_t high = 0;
  uint64_t low = 0;
  if (key != 0) {
    high = Hash(name, key, kFnvBasis);
    low = Hash(name, key, kOtherBasis);
  } else {
    // Cannot fail for so few bytes once the system has started (getrandom(2)).
    [[maybe_unused]] ssize_t got = ::getrandom(&high, sizeof(high), 0);
    got = ::getrandom(&low, sizeof(low), 0);
  }
  return std::string(kPrefix) +
         absl::StrCat(absl::Hex(high, absl::kZeroPad16), absl::Hex(low, absl::kZeroPad16)) +
         std::string(kSuffix);
}

bool IsPartialName(std::string_view name) {
  return name.size() == kPrefix.size() + kDigits + kSuffix.size() && name.starts_with(kPrefix) &&
         name.ends_with(kSuffix);
}

int64_t PartialFile::Open(const FileStore& store, const Target& target) {
  const SplitPath split(target.path);
  name_ = split.name;
  partial_name_ = PartialName(name_, target.key);
  const int64_t error = store.OpenDirectory(split.directory, O_RDONLY, directory_, target.making);
  if (error != 0) return error;
  struct stat there = {};
  if (::fstatat(directory(), name_.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
    if (S_ISDIR(there.st_mode)) return -EEXIST;
    if (!S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode)) return -ENXIO;
  } else if (errno != ENOENT) {
    return -errno;
  }
  int64_t result = -EAGAIN;
  for (int i = 0; i < kAttempts && result == -EAGAIN; ++i) result = OpenLocked(target);
  if (result == -EAGAIN) return -EALREADY;
  if (result != 0) file_.Reset();
  return result;
}

// -EAGAIN: another has moved it from its name meanwhile.
int64_t PartialFile::OpenLocked(const Target& target) {
  const int exclusive = target.key == 0 ? O_EXCL : 0;
  const int64_t opened = OpenBeneath(directory(), partial_name_,
                                     O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | exclusive,
                                     target.mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (opened < 0) return opened;
  file_.Reset(static_cast<int>(opened));
  if (::flock(fd(), LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK ? -EALREADY : -errno;
  struct stat status = {};
  if (::fstat(fd(), &status) != 0) return -errno;
  if (!IsUnderName(directory(), partial_name_, status)) return -EAGAIN;
  if (const int64_t error = CheckRegular(status); error != 0) return error;
  const auto size = static_cast<uint64_t>(status.st_size);
  if (target.resume && size <= target.size) {
    found_bytes_ = size;
    return 0;
  }
  if (size != 0 && ::ftruncate(fd(), 0) != 0) return -errno;
  dropped_bytes_ = size;
  return 0;
}

int64_t PartialFile::Discard() {
  if (!open()) return 0;
  const int result = ::unlinkat(directory(), partial_name_.c_str(), 0);
  const int64_t error = result != 0 ? -errno : 0;
  Close();
  return error;
}

int64_t PartialFile::Keep(uint64_t size) {
  if (!open()) return 0;
  const int result = ::ftruncate(fd(), static_cast<off_t>(size));
  const int64_t error = result != 0 ? -errno : 0;
  Close();
  return error;
}

void PartialFile::Close() {
  file_.Reset();
  directory_.Reset();
}

}  // namespace quintet::files
