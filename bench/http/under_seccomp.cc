// Runs a program under a seccomp filter of the size that containers have, so that the benchmark can
// show what system calls cost there.
//
// usage: under_seccomp PROGRAM [ARGUMENT...]
//
// The filter lists by name, in the kernel's order, what an ordinary program may call, io_uring
// included, and refuses everything else with EPERM, as the default profiles of container engines do
// (those that forbid io_uring apart). libseccomp turns that into one comparison after another.
// From Linux 5.11 on the kernel keeps a bitmap of the calls that a filter allows whatever their
// arguments, so each of those costs a look-up and not the whole list; all calls that the measured
// servers make per request are of that kind.
#include <errno.h>
#include <seccomp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

// Beyond the newest system call that libseccomp may know.
constexpr int kEndOfNumbers = 1024;

// What takes privileges, or reaches other processes or the machine.
constexpr std::array<std::string_view, 59> kRefused = {
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "ustat",
    "vhangup",
};

[[noreturn]] void Die(const char* step, int error) {
  std::fprintf(stderr, "under_seccomp: %s: %s\n", step, strerror(error));
  std::exit(1);
}

bool Refused(std::string_view name) {
  return std::find(kRefused.begin(), kRefused.end(), name) != kRefused.end();
}

void Install() {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) Die("seccomp_init", ENOMEM);
  const uint32_t architecture = seccomp_arch_native();
  for (int number = 0; number < kEndOfNumbers; ++number) {
    char* const name = seccomp_syscall_resolve_num_arch(architecture, number);
    if (name == nullptr) continue;
    const bool refused = Refused(name);
    std::free(name);
    if (refused) continue;
    const int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    if (error != 0) Die("seccomp_rule_add", -error);
  }
  const int error = seccomp_load(filter);
  if (error != 0) Die("seccomp_load", -error);
  seccomp_release(filter);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s PROGRAM [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  Install();
  ::execvp(argv[1], argv + 1);
  Die(argv[1], errno);
}
