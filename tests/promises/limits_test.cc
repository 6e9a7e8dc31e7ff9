// Promise 37: limits are honest. With little memory to lock or few descriptors the server starts,
// or says clearly why not; a ring that had to be halved is halved aloud; hello prints the limits.
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/address.h"
#include "tests/promises/promise_fixture.h"
#include "tests/reactor/syscall_filter.h"
#include "tests/support/child_process.h"

namespace quintet::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int kFailure = 1;

std::function<void()> WithLimit(__rlimit_resource resource, rlim_t value) {
  return [resource, value] {
    const rlimit limit{.rlim_cur = value, .rlim_max = value};
    ::setrlimit(resource, &limit);
    // Root may lock what it likes: the program is to be without that right.
    ::prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK);
  };
}

class LimitsTest : public PromiseTest {
 protected:
  std::vector<std::string> Arguments() const {
    return {"--listen", "127.0.0.1:0", "--shards",
            "1",        "--backend",   std::string(BackendName(GetParam()))};
  }

  // Starts hello and says whether it serves. If not, it must have said why, and ended with 1.
  bool Serves(ChildProcess& hello, const std::string& limit) {
    const std::string line = hello.ReadErrorLine();
    const size_t start = line.find("listening on ");
    if (start == std::string::npos) {
      EXPECT_THAT(line, HasSubstr("hello: "));
      EXPECT_THAT(line, AnyOf(HasSubstr("Too many open files"), HasSubstr("ENOMEM")))
          << "which limit?";
      EXPECT_EQ(hello.Wait(), kFailure);
      return false;
    }
    EXPECT_THAT(line, HasSubstr("backend " + std::string(BackendName(GetParam()))));
    EXPECT_THAT(line, HasSubstr(limit));
    const size_t begin = start + std::string_view("listening on ").size();
    const auto address = Address::Parse(line.substr(begin, line.find(';') - begin));
    EXPECT_TRUE(address.ok()) << line;
    if (!address.ok()) return false;
    const auto* raw = reinterpret_cast<const sockaddr_in*>(address->data());
    Fd client = ConnectTo(*raw);
    SetTimeouts(client.get(), std::chrono::milliseconds(500));
    SendAll(client.get(), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const bool served = ReceiveExactly(client.get(), 15) == "HTTP/1.1 200 OK";
    client.Reset();
    hello.Signal(SIGTERM);
    EXPECT_EQ(hello.Wait(), 0) << hello.error();
    if (!served) {
      // It listens and has no descriptor for the connection: it must have said that.
      EXPECT_THAT(hello.error(), HasSubstr("accept"));
    }
    return served;
  }
};

TEST_P(LimitsTest, NothingMayBeLocked) {
  ChildProcess hello(QUINTET_HELLO_PATH, Arguments(),
                     {.before_exec = WithLimit(RLIMIT_MEMLOCK, 0)});
  const bool serves = Serves(hello, "locked memory 0");
  // Since Linux 5.12 rings are charged to the control group, not to this limit.
  if (GetParam() == BackendKind::kIoUring) return;
  EXPECT_TRUE(serves);
}

TEST_P(LimitsTest, FewDescriptors) {
  bool served = false;
  // Below six the dynamic loader may fail before the program begins.
  for (const rlim_t limit : {6U, 7U, 8U, 9U, 10U, 16U}) {
    SCOPED_TRACE(absl::StrCat("RLIMIT_NOFILE ", limit));
    ChildProcess hello(QUINTET_HELLO_PATH, Arguments(),
                       {.before_exec = WithLimit(RLIMIT_NOFILE, limit)});
    served = Serves(hello, absl::StrCat("descriptors ", limit));
  }
  EXPECT_TRUE(served) << "16 descriptors are enough";
}

INSTANTIATE_TEST_SUITE_P(Backends, LimitsTest, AllBackends(), KindName);

class RingLimitsTest : public PromiseTest {};

TEST_P(RingLimitsTest, RingIsHalvedAloudWhileMemoryDoesNotSuffice) {
  constexpr uint32_t kEnough = 32;
  std::string said;
  EventLoopOptions options = LoopOptions();
  options.backend.log = [&said](LogLevel, std::string_view line) { said.append(line); };
  const bool ran = RunWithSyscallRule(
      {.number = __NR_io_uring_setup, .error = ENOMEM, .first_argument_above = kEnough}, [&] {
        auto loop = EventLoop::Create(options);
        ASSERT_TRUE(loop.ok()) << loop.status();
        EXPECT_EQ((*loop)->backend().kind(), GetParam());
        // It works.
        ConnectionGroup group(**loop, {});
        SocketPair pair = MakeTcpPair();
        ASSERT_TRUE(group.Adopt(Socket(pair.ours.Release()), MakeSession(EchoScript())).ok());
        ASSERT_TRUE(SendAll(pair.peer.get(), "ping"));
        char reply[4];
        for (int i = 0; i < 100 && ::recv(pair.peer.get(), reply, 4, MSG_DONTWAIT) != 4; ++i) {
          (*loop)->RunOnce(std::chrono::milliseconds(10));
        }
        EXPECT_EQ(std::string(reply, 4), "ping");
      });
  if (!ran) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_THAT(said, HasSubstr(absl::StrCat("going on with ", kEnough)));
}

TEST_P(RingLimitsTest, NoMemoryAtAllIsSaid) {
  const bool ran = RunWithSyscallRule({.number = __NR_io_uring_setup, .error = ENOMEM}, [&] {
    const auto loop = EventLoop::Create(LoopOptions());
    ASSERT_FALSE(loop.ok());
    const std::string message(loop.status().message());
    EXPECT_THAT(message, HasSubstr("io_uring_setup"));
    EXPECT_THAT(message, HasSubstr("ENOMEM"));
  });
  if (!ran) GTEST_SKIP() << "no seccomp filters here";
}

INSTANTIATE_TEST_SUITE_P(Backends, RingLimitsTest, ::testing::Values(BackendKind::kIoUring),
                         KindName);

}  // namespace
}  // namespace quintet::testing
