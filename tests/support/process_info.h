// What /proc and the kernel tell of other processes. One that has ended is no error: nothing is
// found out about it.
#ifndef QUINTET_TESTS_SUPPORT_PROCESS_INFO_H_
#define QUINTET_TESTS_SUPPORT_PROCESS_INFO_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace quintet::testing {

// The state letter of proc(5), /proc/PID/stat: 'R', 'S', 'D', 'Z' (a zombie), ...; 0: no such
// process.
char StateOf(pid_t pid);

// The children of a process, zombies among them, in ascending order.
std::vector<pid_t> ChildrenOf(pid_t pid);
// Those of its children that have ended and were not waited for.
std::vector<pid_t> ZombiesOf(pid_t pid);
// Those of its children that live.
std::vector<pid_t> LivingChildrenOf(pid_t pid);

// How many open descriptors of a process refer to what: "socket", "pipe", "anon_inode:[eventpoll]",
// "/dev/null", ... Numbers of inodes are left out, so that tables of different processes compare.
std::map<std::string, int> DescriptorKinds(pid_t pid);

// Whether two descriptors refer to one open file description, as after fork(2) or dup(2): kcmp(2).
// False also when the kernel would not say.
bool IsSameOpenFile(pid_t a, int fd_of_a, pid_t b, int fd_of_b);
// Whether the kernel says it here.
bool CanCompareOpenFiles();

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_PROCESS_INFO_H_
