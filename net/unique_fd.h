// An owned file descriptor that is no socket.
#ifndef QUINTET_NET_UNIQUE_FD_H_
#define QUINTET_NET_UNIQUE_FD_H_

#include <errno.h>
#include <unistd.h>

#include <utility>

namespace quintet {

// Owns one descriptor and closes it. Move-only; -1 when empty. Thread-compatible.
class UniqueFd {
 public:
  UniqueFd() = default;
  // Takes over an open descriptor, or nothing where `fd` is negative.
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { Reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Gives the descriptor away; this is empty then.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  // Closes the descriptor, if any, and takes over `fd`. Leaves errno as it was.
  void Reset(int fd = -1) {
    const int saved_errno = errno;
    // Linux frees the number whatever close(2) returns; another try could close a stranger's.
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
    errno = saved_errno;
  }

 private:
  int fd_ = -1;
};

}  // namespace quintet

#endif  // QUINTET_NET_UNIQUE_FD_H_
