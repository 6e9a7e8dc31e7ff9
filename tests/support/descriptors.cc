#include "tests/support/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace quintet::testing {
namespace {

// `own`: they are this process's, and that which reads the directory is not one of them.
std::map<int, std::string> DescriptorsIn(const std::string& path, bool own) {
  std::map<int, std::string> open;
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return open;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (own && fd == ::dirfd(directory)) continue;
    char target[256];
    const ssize_t length = ::readlinkat(::dirfd(directory), entry->d_name, target, sizeof(target));
    open[fd] = std::string(target, length > 0 ? static_cast<size_t>(length) : 0);
  }
  ::closedir(directory);
  return open;
}

}  // namespace

void Fd::Reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

void SetNonBlocking(int fd) {
  ASSERT_EQ(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

std::map<int, std::string> OpenDescriptors() {
  return DescriptorsIn("/proc/self/fd", /*own=*/true);
}

std::map<int, std::string> OpenDescriptors(pid_t pid) {
  return DescriptorsIn("/proc/" + std::to_string(pid) + "/fd", /*own=*/false);
}

void DescriptorLeakCheck::ExpectNoneLeaked() const {
  std::map<int, std::string> leaked;
  for (int attempt = 0; attempt < 100; ++attempt) {
    leaked = OpenDescriptors();
    for (const auto& [fd, target] : before_) leaked.erase(fd);
    if (leaked.empty()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  for (const auto& [fd, target] : leaked) {
    ADD_FAILURE() << "descriptor " << fd << " (" << target << ") was left open";
  }
}

}  // namespace quintet::testing
