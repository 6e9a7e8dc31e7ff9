// Promise 27: the process model leaves no zombie, hands its workers nothing but what they need,
// does not add up descriptors, and survives storms of signals.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "tests/apps/operations_fixture.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using ::testing::IsEmpty;

constexpr int kWorkers = 3;
// Input, output and log belong to everyone.
constexpr int kFirstOfItsOwn = STDERR_FILENO + 1;

// The inodes of all TCP sockets that listen on IPv4: /proc/net/tcp of proc(5), state 0A.
std::set<std::string> ListeningInodes() {
  std::set<std::string> inodes;
  std::ifstream file("/proc/net/tcp");
  std::string line;
  std::getline(file, line);  // the heading
  std::string slot, local, remote, state, queues, timer, retransmits, user, timeout, inode;
  while (file >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >>
         timeout >> inode) {
    std::getline(file, line);
    if (state == "0A") inodes.insert(inode);
  }
  return inodes;
}

// Whether a descriptor's target, "socket:[INODE]", is one of those.
bool IsListening(std::string_view target, const std::set<std::string>& inodes) {
  constexpr std::string_view kPrefix = "socket:[";
  if (!target.starts_with(kPrefix)) return false;
  target.remove_prefix(kPrefix.size());
  target.remove_suffix(1);
  return inodes.contains(std::string(target));
}

class ProcessHygieneTest : public OperationsTest {
 protected:
  // Kills one worker and waits until another serves in its place.
  void ReplaceAWorker() {
    const std::set<pid_t> before = Workers();
    ASSERT_EQ(before.size(), size_t{kWorkers});
    const pid_t victim = *before.begin();
    ASSERT_EQ(::kill(victim, SIGKILL), 0);
    std::set<pid_t> now;
    ASSERT_TRUE(Eventually([&] {
      now = Workers();
      return now.size() == before.size() && !now.contains(victim);
    }));
    for (const pid_t worker : before) now.erase(worker);
    ASSERT_EQ(now.size(), 1U);
    EXPECT_TRUE(
        hello().WaitForLines(absl::StrCat("(pid ", victim, ") died: signal 9 (SIGKILL)"), 1));
    EXPECT_TRUE(hello().WaitForLines(absl::StrCat("is serving (pid ", *now.begin(), ")"), 1));
  }

  // A worker has every listening socket, and a second descriptor of those it accepts from.
  static size_t ListeningDescriptorsWhenAllServe() {
    if (GetParam().policy == "reuseport") return kWorkers + 1;
    return GetParam().policy == "handoff" ? 1 : 2;
  }
  static size_t ListeningDescriptors(pid_t pid) {
    const std::set<std::string> listening = ListeningInodes();
    size_t count = 0;
    for (const auto& [fd, target] : OpenDescriptors(pid)) count += IsListening(target, listening);
    return count;
  }

  // The descriptors of `pid` that `other` has too, as one and the same open file, by what they are.
  static std::map<int, std::string> SharedWith(pid_t other, pid_t pid) {
    std::map<int, std::string> shared;
    const std::map<int, std::string> others = OpenDescriptors(other);
    for (const auto& [fd, target] : OpenDescriptors(pid)) {
      if (fd < kFirstOfItsOwn) continue;
      for (const auto& [other_fd, other_target] : others) {
        if (IsSameOpenFile(pid, fd, other, other_fd)) shared[fd] = target;
      }
    }
    return shared;
  }
  // The same without listening sockets.
  static std::map<int, std::string> SharedForNoReason(pid_t other, pid_t pid) {
    const std::set<std::string> listening = ListeningInodes();
    std::map<int, std::string> shared = SharedWith(other, pid);
    std::erase_if(shared, [&](const auto& entry) { return IsListening(entry.second, listening); });
    return shared;
  }
};

INSTANTIATE_TEST_SUITE_P(Operations, ProcessHygieneTest,
                         ::testing::Values(Operation{"process", "reuseport", BackendKind::kEpollEt},
                                           Operation{"process", "exclusive", BackendKind::kEpollEt},
                                           Operation{"process", "handoff", BackendKind::kEpollEt},
                                           Operation{"process", "reuseport", BackendKind::kSelect},
                                           Operation{"process", "reuseport",
                                                     BackendKind::kIoUring}),
                         OperationName);

TEST_P(ProcessHygieneTest, NoZombiesAfterManyDeathsAndConnections) {
  if (!Start(kWorkers)) return;
  const auto descriptors = DescriptorKinds(hello().pid());
  HttpLoad load(address(), {.connections = kConnections, .reconnecting = kConnections});
  const int deaths = Scaled(24);
  for (int death = 0; death < deaths; ++death) {
    ASSERT_NO_FATAL_FAILURE(ReplaceAWorker());
    ASSERT_TRUE(load.WaitForRequests(static_cast<uint64_t>(Scaled(10'000) / deaths) + 1));
  }
  load.Stop();
  EXPECT_TRUE(Eventually([&] { return ZombiesOf(hello().pid()).empty(); }));
  EXPECT_EQ(ChildrenOf(hello().pid()).size(), size_t{kWorkers});
  EXPECT_TRUE(Eventually([&] { return DescriptorKinds(hello().pid()) == descriptors; }))
      << ::testing::PrintToString(DescriptorKinds(hello().pid())) << " after "
      << ::testing::PrintToString(descriptors);
  ExpectCleanEnd();
}

TEST_P(ProcessHygieneTest, WorkersHaveNothingOfTheSupervisorOrOfOneAnother) {
  if (!CanCompareOpenFiles()) GTEST_SKIP() << "kcmp(2) is not permitted here";
  ChildProcess::Options options;
  // What the program happened to be started with is nobody's business but its own.
  options.before_exec = [] { ::dup2(::open("/dev/zero", O_RDONLY), 77); };
  if (!Start(kWorkers, {}, options)) return;
  ASSERT_EQ(OpenDescriptors(hello().pid())[77], "/dev/zero");
  // Also those that came later.
  for (int i = 0; i < 2; ++i) ASSERT_NO_FATAL_FAILURE(ReplaceAWorker());
  const std::set<pid_t> workers = Workers();
  for (const pid_t worker : workers) {
    SCOPED_TRACE(::testing::Message() << "worker " << worker << " of " << hello().pid());
    EXPECT_FALSE(SharedWith(hello().pid(), worker).empty()) << "not even a listening socket";
    EXPECT_THAT(SharedForNoReason(hello().pid(), worker), IsEmpty());
    for (const pid_t other : workers) {
      if (other == worker) continue;
      EXPECT_THAT(SharedForNoReason(other, worker), IsEmpty()) << "with worker " << other;
    }
  }
  ExpectCleanEnd();
}

TEST_P(ProcessHygieneTest, LateWorkersHaveWhatTheFirstOnesHad) {
  if (!Start(kWorkers)) return;
  const auto tables = [this] {
    std::set<std::map<std::string, int>> kinds;
    for (const pid_t worker : Workers()) kinds.insert(DescriptorKinds(worker));
    return kinds;
  };
  // Until each has been told what to accept from, and what served in its place has been given back.
  ASSERT_TRUE(Eventually([&] {
    const std::set<pid_t> workers = Workers();
    return std::all_of(workers.begin(), workers.end(), [this](pid_t worker) {
      return ListeningDescriptors(worker) == ListeningDescriptorsWhenAllServe();
    });
  })) << ::testing::PrintToString(tables());
  const std::set<std::map<std::string, int>> first = tables();
  const int deaths = Scaled(16);
  for (int death = 0; death < deaths; ++death) ASSERT_NO_FATAL_FAILURE(ReplaceAWorker());
  EXPECT_TRUE(Eventually([&] { return tables() == first; }))
      << ::testing::PrintToString(tables()) << " after " << ::testing::PrintToString(first);
  ExpectCleanEnd();
}

// Each signal that stops or continues a process ends its epoll_wait(2) with EINTR (signal(7)), and
// SIGCHLD its supervisor's wait.
TEST_P(ProcessHygieneTest, SurvivesAStormOfSignals) {
  if (!Start(kWorkers)) return;
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));
  const std::set<pid_t> workers = Workers();
  std::set<pid_t> all = workers;
  all.insert(hello().pid());
  const int rounds = Scaled(400);
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 20; ++i) hello().Signal(SIGCHLD);
    for (const pid_t process : all) {
      EXPECT_EQ(::kill(process, SIGSTOP), 0);
      EXPECT_EQ(::kill(process, SIGCONT), 0);
      EXPECT_EQ(::kill(process, SIGCHLD), 0);
    }
  }
  ASSERT_TRUE(load.WaitForRequests(1000));
  EXPECT_EQ(Workers(), workers) << "a worker was taken for dead";
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  // It still learns of a death that is real.
  ASSERT_NO_FATAL_FAILURE(ReplaceAWorker());
  EXPECT_TRUE(Eventually([&] { return ZombiesOf(hello().pid()).empty(); }));
  ExpectCleanEnd();
}

}  // namespace
}  // namespace quintet::testing
