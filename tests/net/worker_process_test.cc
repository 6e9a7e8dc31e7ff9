#include "net/worker_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/loop_test.h"

namespace quintet::testing {
namespace {

class WorkerProcessTest : public LoopTest {
 protected:
  std::unique_ptr<WorkerProcess> Start(const std::function<int(Socket)>& main,
                                       std::vector<int> kept = {}) {
    auto process = WorkerProcess::Start(
        loop(), main, kept,
        {.on_message = [this](WorkerMessage& message) { messages_.push_back(message.text); },
         .on_ended = [this](int status) { status_ = status; }});
    EXPECT_TRUE(process.ok()) << process.status();
    return process.ok() ? *std::move(process) : nullptr;
  }
  [[nodiscard]] bool RunUntilEnded() {
    return TurnUntil([&] { return status_.has_value(); });
  }
  // Says something to the parent, without a loop.
  static void Say(Socket channel, const std::string& text) {
    EventLoopOptions options;
    options.backend.kind = BackendKind::kPoll;
    auto loop = EventLoop::Create(options);
    auto own = WorkerChannel::Create(
        **loop, std::move(channel), [](WorkerMessage&) {}, [] {});
    (*own)->Send({.type = WorkerMessage::Type::kFailed, .text = text});
  }

  std::vector<std::string> messages_;
  std::optional<int> status_;
};
INSTANTIATE_TEST_SUITE_P(Backends, WorkerProcessTest,
                         ::testing::Values(BackendKind::kPoll, BackendKind::kEpollLt), KindName);

TEST_P(WorkerProcessTest, ItsLastWordsAndItsExitCodeArrive) {
  auto process = Start([](Socket channel) {
    Say(std::move(channel), "goodbye");
    return 3;
  });
  ASSERT_TRUE(RunUntilEnded());
  EXPECT_EQ(WorkerProcess::Describe(*status_), "exit code 3");
  EXPECT_EQ(messages_, std::vector<std::string>{"goodbye"});
  EXPECT_EQ(::waitpid(process->pid(), nullptr, WNOHANG), -1) << "it was waited for";
}

TEST_P(WorkerProcessTest, ASignalIsNamed) {
  auto process = Start([](Socket) {
    while (true) ::pause();
    return 0;
  });
  process->Kill(SIGKILL);
  ASSERT_TRUE(RunUntilEnded());
  EXPECT_EQ(WorkerProcess::Describe(*status_), "signal 9 (SIGKILL)");
}

TEST_P(WorkerProcessTest, ItHasNoDescriptorButThoseKept) {
  const Fd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd high(::fcntl(other.get(), F_DUPFD_CLOEXEC, 700));
  auto process = Start(
      [&](Socket channel) {
        std::string found;
        for (const auto& [fd, target] : OpenDescriptors()) {
          const bool expected = fd <= STDERR_FILENO || fd == kept.get() || fd == channel.fd();
          if (!expected) found += " " + std::to_string(fd) + "=" + target;
        }
        Say(std::move(channel), "open:" + found);
        return IsOpen(kept.get()) ? 0 : 1;
      },
      {kept.get()});
  ASSERT_TRUE(RunUntilEnded());
  EXPECT_EQ(*status_, 0);
  EXPECT_EQ(messages_, std::vector<std::string>{"open:"});
}

TEST_P(WorkerProcessTest, WhatItThrowsEndsItAlone) {
  auto process = Start([](Socket) -> int { throw std::runtime_error("on purpose"); });
  ASSERT_TRUE(RunUntilEnded());
  EXPECT_EQ(WorkerProcess::Describe(*status_), "exit code 1");
}

TEST_P(WorkerProcessTest, DestroyedItIsKilledAndWaitedFor) {
  auto process = Start([](Socket) {
    while (true) ::pause();
    return 0;
  });
  const pid_t pid = process->pid();
  process.reset();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

}  // namespace
}  // namespace quintet::testing
