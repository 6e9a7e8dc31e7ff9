#include "tests/reactor/syscall_filter.h"

#include <errno.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <thread>
#include <vector>

namespace quintet {
namespace {

static_assert(std::endian::native == std::endian::little, "low word of an argument comes first");

// The filter's descriptor with SECCOMP_FILTER_FLAG_NEW_LISTENER, else 0; -1 when refused.
int Install(std::vector<sock_filter> program, unsigned flags) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  sock_fprog filter{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  return static_cast<int>(::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter));
}

std::vector<sock_filter> Program(const SyscallRule& rule, uint32_t action) {
  const auto number = static_cast<uint32_t>(rule.number);
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (rule.first_argument_above.has_value()) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, *rule.first_argument_above, 1, 0));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, action));
  return program;
}

// Answers the notifications of a filter until its thread has ended.
void Supervise(int listener, const SyscallAnswer& answer) {
  for (;;) {
    pollfd ready{.fd = listener, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, -1) < 0 && errno == EINTR) continue;
    // Nobody is left under the filter.
    if ((ready.revents & POLLIN) == 0) return;
    seccomp_notif notification{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) continue;
    seccomp_notif_resp response{};
    response.id = notification.id;
    response.error = -answer(reinterpret_cast<const uint64_t*>(notification.data.args));
    if (response.error == 0) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
}

}  // namespace

bool InstallSyscallRule(const SyscallRule& rule) {
  const uint32_t action = rule.error == 0 ? SECCOMP_RET_KILL_PROCESS
                                          : SECCOMP_RET_ERRNO | static_cast<uint32_t>(rule.error);
  return Install(Program(rule, action), 0) == 0;
}

bool RunWithSyscallRule(const SyscallRule& rule, const std::function<void()>& body) {
  bool installed = false;
  std::thread thread([&] {
    installed = InstallSyscallRule(rule);
    if (installed) body();
  });
  thread.join();
  return installed;
}

bool RunWithAnswers(long number, const SyscallAnswer& answer, const std::function<void()>& body) {
  // Both the thread under the filter and the one that answers for it are children of this one: what
  // the first starts inherits the filter.
  std::atomic<int> listener{-2};
  std::thread supervisor([&] {
    listener.wait(-2);
    if (listener >= 0) Supervise(listener, answer);
  });
  std::thread thread([&] {
    const SyscallRule rule{.number = number};
    listener = Install(Program(rule, SECCOMP_RET_USER_NOTIF), SECCOMP_FILTER_FLAG_NEW_LISTENER);
    listener.notify_one();
    if (listener >= 0) body();
  });
  thread.join();
  supervisor.join();
  if (listener < 0) return false;
  ::close(listener);
  return true;
}

bool RunWithoutSetupFlags(uint32_t unknown_flags, const std::function<void()>& body) {
  const auto answer = [unknown_flags](const uint64_t* arguments) {
    // Through the kernel, because the structure belongs to a thread that waits without a lock.
    io_uring_params params{};
    iovec here{.iov_base = &params, .iov_len = sizeof(params)};
    iovec there{.iov_base = reinterpret_cast<void*>(arguments[1]), .iov_len = sizeof(params)};
    if (::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) != sizeof(params)) return EFAULT;
    return (params.flags & unknown_flags) != 0 ? EINVAL : 0;
  };
  return RunWithAnswers(__NR_io_uring_setup, answer, body);
}

int RunInChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace quintet
