// The hello server where the kernel has no io_uring for it.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/reactor/syscall_filter.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"

namespace quintet {
namespace {

using ::testing::AllOf;
using testing::ChildProcess;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kHello[] = QUINTET_HELLO_PATH;

class HelloFallbackTest : public testing::DescriptorLeakTest,
                          public ::testing::WithParamInterface<int> {
 protected:
  // A filter that lasts for the program: io_uring_setup(2) fails with the parameter.
  static ChildProcess::Options WithoutIoUring() {
    ChildProcess::Options options;
    options.before_exec = [] {
      if (!InstallSyscallRule({.number = __NR_io_uring_setup, .error = GetParam()})) _exit(126);
    };
    return options;
  }
};

TEST_P(HelloFallbackTest, AutoServesOnEpollAndSaysWhy) {
  ChildProcess child(kHello, {"--listen", "127.0.0.1:0", "--shards", "2"}, WithoutIoUring());
  const std::string errno_name = strerrorname_np(GetParam());
  // Once, although there are two shards.
  EXPECT_THAT(child.ReadErrorLine(),
              AllOf(StartsWith("quintet: warning: "), HasSubstr(errno_name)));
  EXPECT_THAT(child.ReadErrorLine(),
              AllOf(StartsWith("hello: listening on "), HasSubstr("; backend epoll_et (auto; "),
                    HasSubstr("io_uring_setup"), HasSubstr(errno_name), HasSubstr("; shards 2; ")));
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(testing::WithoutStalls(child.error()), "");
}

TEST_P(HelloFallbackTest, AnExplicitIoUringFailsWithTheSameWords) {
  ChildProcess child(kHello, {"--listen", "127.0.0.1:0", "--backend", "io_uring"},
                     WithoutIoUring());
  EXPECT_EQ(child.Wait(), 1);
  EXPECT_THAT(child.error(), AllOf(StartsWith("hello: io_uring"), HasSubstr("io_uring_setup"),
                                   HasSubstr(strerrorname_np(GetParam()))));
}

TEST_P(HelloFallbackTest, TheListSaysWhy) {
  ChildProcess child(kHello, {"--list-backends"}, WithoutIoUring());
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_THAT(child.output(), AllOf(HasSubstr("\nepoll_et  yes\n"), HasSubstr("\nio_uring  no    "),
                                    HasSubstr(strerrorname_np(GetParam()))));
}

INSTANTIATE_TEST_SUITE_P(Errors, HelloFallbackTest, ::testing::Values(ENOSYS, EPERM, ENOMEM),
                         [](const ::testing::TestParamInfo<int>& error) {
                           return std::string(strerrorname_np(error.param));
                         });

}  // namespace
}  // namespace quintet
