#include "net/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"

namespace quintet {
namespace {

// Each further attempt means that another program has started or ended in between.
constexpr int kMaxAttempts = 100;

absl::Status Failed(const std::string& path, const char* call, int error) {
  return ErrnoStatus(error, absl::StrCat("pid file ", path, ": ", call));
}

// Whether the path still leads to the open file.
bool Names(const std::string& path, int fd) {
  struct stat named {};
  struct stat open {};
  return ::lstat(path.c_str(), &named) == 0 && ::fstat(fd, &open) == 0 &&
         named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

absl::Status AlreadyRunning(const std::string& path, int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof(text), 0);
  pid_t pid = 0;
  if (size > 0) std::from_chars(text, text + size, pid);
  return absl::AlreadyExistsError(
      pid > 0 ? absl::StrCat("pid file ", path, ": already running with pid ", pid)
              : absl::StrCat("pid file ", path, ": locked, but names no process"));
}

// Locks the file of a predecessor, which shows that it has ended.
absl::Status LockStale(const std::string& path, int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    return Failed(path, "fstat", error);
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("pid file ", path, ": exists and is not a regular file"));
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  const int error = errno;
  return error == EWOULDBLOCK ? AlreadyRunning(path, fd) : Failed(path, "flock", error);
}

// What is there under the name, locked; empty where there is nothing.
absl::StatusOr<UniqueFd> OpenStale(const std::string& path) {
  UniqueFd stale(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!stale.valid()) {
    const int error = errno;
    if (error == ENOENT) return stale;
    return Failed(path, "open", error);
  }
  if (absl::Status status = LockStale(path, stale.get()); !status.ok()) return status;
  return stale;
}

// A complete, locked file under a name beside its final one.
struct Draft {
  UniqueFd fd;
  std::string path;
};

absl::StatusOr<Draft> WriteDraft(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("pid file: the path is empty");
  Draft draft{UniqueFd(), path + ".XXXXXX"};
  draft.fd.Reset(::mkostemp(draft.path.data(), O_CLOEXEC));
  if (!draft.fd.valid()) {
    const int error = errno;
    return Failed(path, "create a file beside it", error);
  }
  const std::string text = absl::StrCat(::getpid(), "\n");
  const char* call = "write";
  errno = ENOSPC;  // of a write that is short
  bool done =
      ::write(draft.fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (done) {
    call = "fchmod";
    done = ::fchmod(draft.fd.get(), 0644) == 0;
  }
  if (done) {
    call = "flock";
    done = ::flock(draft.fd.get(), LOCK_EX | LOCK_NB) == 0;
  }
  if (done) return draft;
  const int error = errno;
  ::unlink(draft.path.c_str());
  return Failed(path, call, error);
}

}  // namespace

PidFile::PidFile(std::string path, UniqueFd fd)
    : path_(std::move(path)), fd_(std::move(fd)), owner_(::getpid()) {}

PidFile& PidFile::operator=(PidFile&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  path_ = std::move(other.path_);
  fd_ = std::move(other.fd_);
  owner_ = other.owner_;
  return *this;
}

void PidFile::Remove() {
  if (fd_.valid() && owner_ == ::getpid() && Names(path_, fd_.get())) ::unlink(path_.c_str());
  fd_.Reset();
}

absl::StatusOr<PidFile> PidFile::Create(const std::string& path) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    // Stays locked until ours is in its place: of several programs that start, one finds it free.
    const absl::StatusOr<UniqueFd> stale = OpenStale(path);
    if (!stale.ok()) return stale.status();
    // Its process may have removed or replaced it before it let go of the lock.
    if (stale->valid() && !Names(path, stale->get())) continue;
    absl::StatusOr<Draft> draft = WriteDraft(path);
    if (!draft.ok()) return draft.status();
    if (stale->valid()) {
      if (::rename(draft->path.c_str(), path.c_str()) == 0) {
        return PidFile(path, std::move(draft->fd));
      }
      const int error = errno;
      ::unlink(draft->path.c_str());
      return Failed(path, "rename", error);
    }
    // Where there is no file to lock, link(2) says who was first.
    const bool linked = ::link(draft->path.c_str(), path.c_str()) == 0;
    const int error = errno;
    ::unlink(draft->path.c_str());
    if (linked) return PidFile(path, std::move(draft->fd));
    if (error != EEXIST) return Failed(path, "link", error);
  }
  return absl::UnavailableError(absl::StrCat("pid file ", path, ": is replaced all the time"));
}

absl::Status PidFile::Check(const std::string& path) { return OpenStale(path).status(); }

absl::StatusOr<PidFile> PidFile::TakeOver(const std::string& path) {
  absl::StatusOr<Draft> draft = WriteDraft(path);
  if (!draft.ok()) return draft.status();
  if (::rename(draft->path.c_str(), path.c_str()) == 0) return PidFile(path, std::move(draft->fd));
  const int error = errno;
  ::unlink(draft->path.c_str());
  return Failed(path, "rename", error);
}

}  // namespace quintet
