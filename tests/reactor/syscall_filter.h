// Kernels that are not there: seccomp filters for one thread, so that a test can meet a kernel that
// lacks io_uring, forbids it, is older, or is out of memory.
#ifndef QUINTET_TESTS_REACTOR_SYSCALL_FILTER_H_
#define QUINTET_TESTS_REACTOR_SYSCALL_FILTER_H_

#include <cstdint>
#include <functional>
#include <optional>

namespace quintet {

// How one system call is treated by the filter.
struct SyscallRule {
  long number = 0;
  int error = 0;  // answered in place of the call; 0 kills the process
  // The rule holds only where the first argument is above this.
  std::optional<uint32_t> first_argument_above = {};
};

// Puts the calling thread, for the rest of its life, and the threads it starts under `rule`. False
// when the kernel has no seccomp filters.
bool InstallSyscallRule(const SyscallRule& rule);

// Runs `body` on a thread of its own under `rule` and waits for it. False without having run it
// when the kernel has no seccomp filters.
bool RunWithSyscallRule(const SyscallRule& rule, const std::function<void()>& body);

// Runs `body` on a thread of its own and asks `answer` before each of its calls of `number`, with
// the six arguments, on another thread: an errno to answer in place of the call, or 0 to let it
// through. False without having run it when the kernel cannot do that (seccomp notification,
// Linux 5.5).
using SyscallAnswer = std::function<int(const uint64_t* arguments)>;
bool RunWithAnswers(long number, const SyscallAnswer& answer, const std::function<void()>& body);

// The same for io_uring_setup(2), answering EINVAL to the flags in `unknown_flags` as kernels do
// that are older than the flag.
bool RunWithoutSetupFlags(uint32_t unknown_flags, const std::function<void()>& body);

// Runs `body` in a forked child; what it returns is the exit status. 128 + the signal's number for
// a child that was killed.
int RunInChild(const std::function<int()>& body);

}  // namespace quintet

#endif  // QUINTET_TESTS_REACTOR_SYSCALL_FILTER_H_
