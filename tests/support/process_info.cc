#include "tests/support/process_info.h"

#include <dirent.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "tests/support/descriptors.h"

namespace quintet::testing {
namespace {

struct Stat {
  char state = 0;
  pid_t parent = 0;
};

// "PID (name) state parent ...", where the name may hold anything.
Stat ReadStat(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  // A process may end between open(2) and read(2), which then says ESRCH: getline() takes that for
  // the end, an iterator would throw.
  std::getline(file, line, '\0');
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= line.size()) return {};
  return {.state = line[name_end + 2], .parent = std::atoi(line.c_str() + name_end + 4)};
}

std::vector<pid_t> ChildrenWhere(pid_t pid, bool zombies, bool living) {
  std::vector<pid_t> children;
  DIR* const directory = ::opendir("/proc");
  if (directory == nullptr) return children;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    const Stat stat = ReadStat(entry->d_name);
    if (stat.state == 0 || stat.parent != pid) continue;
    const bool ended = stat.state == 'Z' || stat.state == 'X';
    if (ended ? zombies : living) children.push_back(std::atoi(entry->d_name));
  }
  ::closedir(directory);
  std::sort(children.begin(), children.end());
  return children;
}

long CompareFiles(pid_t a, int fd_of_a, pid_t b, int fd_of_b) {
  return ::syscall(SYS_kcmp, a, b, KCMP_FILE, fd_of_a, fd_of_b);
}

}  // namespace

char StateOf(pid_t pid) { return ReadStat(std::to_string(pid)).state; }

std::vector<pid_t> ChildrenOf(pid_t pid) { return ChildrenWhere(pid, true, true); }

std::vector<pid_t> ZombiesOf(pid_t pid) { return ChildrenWhere(pid, true, false); }

std::vector<pid_t> LivingChildrenOf(pid_t pid) { return ChildrenWhere(pid, false, true); }

std::map<std::string, int> DescriptorKinds(pid_t pid) {
  std::map<std::string, int> kinds;
  for (const auto& [fd, target] : OpenDescriptors(pid)) {
    // "socket:[12345]", "pipe:[12345]".
    const size_t number = target.find(":[");
    const bool numbered = number != std::string::npos && !target.starts_with("anon_inode");
    ++kinds[numbered ? target.substr(0, number) : target];
  }
  return kinds;
}

bool IsSameOpenFile(pid_t a, int fd_of_a, pid_t b, int fd_of_b) {
  return CompareFiles(a, fd_of_a, b, fd_of_b) == 0;
}

bool CanCompareOpenFiles() {
  const pid_t self = ::getpid();
  return CompareFiles(self, STDERR_FILENO, self, STDERR_FILENO) == 0;
}

}  // namespace quintet::testing
