#include "apps/files/part_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/files/crc32c.h"
#include "net/files/path.h"

namespace quintet::files::app {
namespace {

constexpr char kPartSuffix[] = ".part";
constexpr char kTagSuffix[] = ".tag";
// Sixteen digits and a line feed.
constexpr size_t kTagBytes = 17;

absl::Status Failed(const std::string& path) { return ErrnoStatus(errno, SafeText(path)); }

std::optional<uint64_t> ReadTag(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  char text[kTagBytes + 1];
  uint64_t tag = 0;
  if (!fd.valid() || ::read(fd.get(), text, sizeof(text)) != kTagBytes) return std::nullopt;
  const auto [end, error] = std::from_chars(text, text + kTagBytes, tag, 16);
  if (error != std::errc() || end != text + kTagBytes - 1 || *end != '\n') return std::nullopt;
  return tag;
}

bool WriteTag(const std::string& path, uint64_t tag) {
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const std::string text = absl::StrCat(absl::Hex(tag, absl::kZeroPad16), "\n");
  return fd.valid() &&
         ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

std::string PartPath(const std::string& target) {
  const size_t slash = target.rfind('/');
  const size_t begin = slash == std::string::npos ? 0 : slash + 1;
  std::string name = target.substr(begin);
  constexpr size_t kRoom = NAME_MAX - 1 - (sizeof(kPartSuffix) - 1) - (sizeof(kTagSuffix) - 1);
  if (name.size() > kRoom) {
    // Two long names that begin alike stay two.
    const std::string end = absl::StrCat("-", absl::Hex(Crc32c(name), absl::kZeroPad8));
    name = name.substr(0, kRoom - end.size()) + end;
  }
  return absl::StrCat(target.substr(0, begin), ".", name, kPartSuffix);
}

PartFile::PartFile(std::string target, UniqueFd fd)
    : target_(std::move(target)),
      path_(PartPath(target_)),
      tag_path_(absl::StrCat(path_, kTagSuffix)),
      fd_(std::move(fd)) {}

absl::StatusOr<PartFile> PartFile::Open(const std::string& target) {
  struct stat there {};
  if (::stat(target.c_str(), &there) == 0 && S_ISDIR(there.st_mode)) {
    return absl::FailedPreconditionError(SafeText(target) + ": is a directory");
  }
  const std::string path = PartPath(target);
  while (true) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
    if (!fd.valid()) return Failed(path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return Failed(path);
      return absl::FailedPreconditionError(SafeText(target) + ": another transfer writes it");
    }
    struct stat opened {};
    if (::fstat(fd.get(), &opened) != 0) return Failed(path);
    if (!S_ISREG(opened.st_mode)) {
      return absl::FailedPreconditionError(SafeText(path) + ": is not a regular file");
    }
    // Whoever had it a moment ago may have published it: then this is the whole file, under its own
    // name.
    if (::stat(path.c_str(), &there) != 0 || there.st_ino != opened.st_ino ||
        there.st_dev != opened.st_dev) {
      continue;
    }
    PartFile part(target, std::move(fd));
    part.size_ = static_cast<uint64_t>(opened.st_size);
    part.tag_ = ReadTag(part.tag_path_);
    return part;
  }
}

absl::Status PartFile::Begin(uint64_t tag) {
  // In this order: a tag never stands beside bytes of another file.
  tag_.reset();
  if (::unlink(tag_path_.c_str()) != 0 && errno != ENOENT) return Failed(tag_path_);
  if (absl::Status status = Truncate(0); !status.ok()) return status;
  if (!WriteTag(tag_path_, tag)) return Failed(tag_path_);
  tag_ = tag;
  return absl::OkStatus();
}

absl::Status PartFile::Truncate(uint64_t size) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return Failed(path_);
  size_ = size;
  return absl::OkStatus();
}

absl::Status PartFile::Publish() {
  if (::rename(path_.c_str(), target_.c_str()) != 0) return Failed(target_);
  ::unlink(tag_path_.c_str());
  return absl::OkStatus();
}

void PartFile::Discard() {
  ::unlink(tag_path_.c_str());
  ::unlink(path_.c_str());
}

}  // namespace quintet::files::app
