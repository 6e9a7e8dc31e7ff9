#include "reactor/child_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "reactor/backend_factory.h"
#include "tests/reactor/syscall_filter.h"
#include "tests/support/in_child.h"
#include "tests/support/loop_test.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

pid_t Fork(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(kChildPatienceSeconds);
    ::_exit(body());
  }
  return pid;
}

pid_t ForkExit(int code) {
  return Fork([code] { return code; });
}

pid_t ForkPaused() {
  return Fork([] {
    while (true) ::pause();
    return 0;
  });
}

// Until the child is a zombie, which it stays.
void AwaitEnd(pid_t pid) {
  siginfo_t info;
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
}

void WaitFor(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool IsChild(pid_t pid) {
  siginfo_t info;
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) == 0;
}

// What is wrong, one line each; expectations in a forked process would go unnoticed.
class Findings {
 public:
  void Expect(bool good, const std::string& what) {
    if (!good) text_ += what + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class ChildWatchTest : public LoopTest {
 protected:
  using Body = std::function<void(EventLoop& loop, Findings& findings)>;

  // Runs `body` where processes have descriptors, and in a process to which the kernel refuses
  // them, so that SIGCHLD must do.
  void OnBothPaths(const Body& body) {
    Findings findings;
    body(loop(), findings);
    EXPECT_EQ(findings.text(), "") << "with pidfd_open";
    EXPECT_EQ(WithoutPidfd(body), "") << "without pidfd_open";
  }

  std::string WithoutPidfd(const Body& body) {
    return InChild([&]() -> std::string {
      if (!InstallSyscallRule({.number = SYS_pidfd_open, .error = ENOSYS})) return "no filter";
      auto own = MakeLoop();
      if (own == nullptr) return "no loop";
      Findings findings;
      body(*own, findings);
      return findings.text();
    });
  }

  static bool TurnUntil(EventLoop& loop, const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      loop.RunOnce(std::chrono::milliseconds(20));
    }
    return true;
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, ChildWatchTest, AllBackends(), KindName);

TEST_P(ChildWatchTest, ExitCodeAndSignalAreTold) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    std::optional<int> exited;
    std::optional<int> killed;
    const pid_t exiting = ForkExit(7);
    const pid_t paused = ForkPaused();
    auto first = loop.WatchChild(exiting, [&](int status) { exited = status; });
    auto second = loop.WatchChild(paused, [&](int status) { killed = status; });
    if (!first.ok() || !second.ok()) return findings.Expect(false, "not watched");
    findings.Expect(TurnUntil(loop, [&] { return exited.has_value(); }), "no end told");
    findings.Expect(!killed.has_value(), "told of a child that lives");
    ::kill(paused, SIGUSR1);
    findings.Expect(TurnUntil(loop, [&] { return killed.has_value(); }), "no signal told");
    if (!exited.has_value() || !killed.has_value()) return;
    findings.Expect(WIFEXITED(*exited) && WEXITSTATUS(*exited) == 7, "wrong exit code");
    findings.Expect(WIFSIGNALED(*killed) && WTERMSIG(*killed) == SIGUSR1, "wrong signal");
    findings.Expect((*first)->ended() && (*first)->pid() == exiting, "wrong watch");
    findings.Expect(!IsChild(exiting) && !IsChild(paused), "a zombie is left");
  });
}

TEST_P(ChildWatchTest, ChildThatEndedBeforeItsWatchIsToldInALaterTurn) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    const pid_t pid = ForkExit(3);
    AwaitEnd(pid);
    std::vector<int> told;
    auto watch = loop.WatchChild(pid, [&](int status) { told.push_back(status); });
    if (!watch.ok()) return findings.Expect(false, watch.status().ToString());
    findings.Expect(told.empty(), "told inside the call");
    findings.Expect(TurnUntil(loop, [&] { return !told.empty(); }), "not told");
    for (int i = 0; i < 5; ++i) loop.RunOnce(std::chrono::milliseconds(1));
    findings.Expect(told == std::vector<int>{W_EXITCODE(3, 0)}, "not told once");
  });
}

TEST_P(ChildWatchTest, BurstOfEndsLeavesNoZombieAndIsToldOnceEach) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    constexpr int kChildren = 200;
    std::vector<ChildWatchPtr> watches;
    std::map<int, int> told;  // by number
    int wrong = 0;
    for (int i = 0; i < kChildren; ++i) {
      auto watch = loop.WatchChild(ForkExit(i % 100), [&, i](int status) {
        ++told[i];
        if (status != W_EXITCODE(i % 100, 0)) ++wrong;
      });
      if (!watch.ok()) return findings.Expect(false, watch.status().ToString());
      watches.push_back(*std::move(watch));
    }
    findings.Expect(TurnUntil(loop, [&] { return told.size() == kChildren; }), "not all told");
    for (const auto& [number, times] : told) findings.Expect(times == 1, "told twice");
    findings.Expect(wrong == 0, "wrong status");
    findings.Expect(ZombiesOf(::getpid()).empty(), "zombies are left");
  });
}

TEST_P(ChildWatchTest, StormOfSignalsLosesNoneAndForeignChildrenAreLeftAlone) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    const pid_t foreign = ForkExit(9);
    AwaitEnd(foreign);
    // System calls are interrupted all the while.
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, &before);
    const itimerval often = {.it_interval = {.tv_sec = 0, .tv_usec = 1000},
                             .it_value = {.tv_sec = 0, .tv_usec = 1000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    constexpr int kChildren = 50;
    int told = 0;
    std::vector<pid_t> children;
    std::vector<ChildWatchPtr> watches;
    for (int i = 0; i < kChildren; ++i) {
      children.push_back(ForkPaused());
      auto watch = loop.WatchChild(children.back(), [&](int status) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ++told;
      });
      if (!watch.ok()) return findings.Expect(false, watch.status().ToString());
      watches.push_back(*std::move(watch));
    }
    for (const pid_t child : children) {
      for (int i = 0; i < 100; ++i) ::kill(::getpid(), SIGCHLD);
      ::kill(child, SIGKILL);
      loop.RunOnce(Duration::zero());
    }
    findings.Expect(TurnUntil(loop, [&] { return told == kChildren; }), "not all told");
    const itimerval never = {};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before, nullptr);
    findings.Expect(IsChild(foreign), "a child was reaped that nobody watched");
    WaitFor(foreign);
  });
}

TEST_P(ChildWatchTest, SignalAloneTells) {
  // No timer fires on a clock that stands still.
  class StoppedClock final : public Clock {
   public:
    TimePoint Now() override { return TimePoint(std::chrono::hours(1)); }
  };
  EXPECT_EQ(WithoutPidfd([](EventLoop&, Findings& findings) {
              StoppedClock clock;
              BackendOptions options;
              options.kind = GetParam();
              auto backend = CreateBackend(options, clock);
              auto loop = EventLoop::CreateWith(*std::move(backend), clock);
              std::optional<int> told;
              const pid_t pid = ForkPaused();
              auto watch = loop->WatchChild(pid, [&](int status) { told = status; });
              for (int i = 0; i < 3; ++i) loop->RunOnce(Duration::zero());
              ::kill(pid, SIGKILL);
              findings.Expect(TurnUntil(*loop, [&] { return told.has_value(); }), "not told");
            }),
            "");
}

TEST_P(ChildWatchTest, SignalThatIsWatchedAlreadyIsNotNeeded) {
  EXPECT_EQ(WithoutPidfd([](EventLoop& loop, Findings& findings) {
              int signals = 0;
              findings.Expect(loop.WatchSignal(SIGCHLD, [&](int) { ++signals; }).ok(), "refused");
              std::optional<int> told;
              const pid_t pid = ForkPaused();
              auto watch = loop.WatchChild(pid, [&](int status) { told = status; });
              loop.RunOnce(Duration::zero());
              ::kill(pid, SIGKILL);
              findings.Expect(TurnUntil(loop, [&] { return told.has_value(); }), "not told");
              findings.Expect(TurnUntil(loop, [&] { return signals > 0; }), "signal taken away");
            }),
            "");
}

TEST_P(ChildWatchTest, LoopWithoutChildrenSleeps) {
  EXPECT_EQ(WithoutPidfd([](EventLoop& loop, Findings& findings) {
              bool told = false;
              auto watch = loop.WatchChild(ForkExit(0), [&](int) { told = true; });
              findings.Expect(TurnUntil(loop, [&] { return told; }), "not told");
              // What is left of the signal.
              while (loop.RunOnce(Duration::zero())) {
              }
              const uint64_t timers = loop.stats().timers;
              loop.RunOnce(std::chrono::milliseconds(300));
              findings.Expect(loop.stats().timers == timers, "a timer fired for nobody");
            }),
            "");
}

TEST_P(ChildWatchTest, WithoutADescriptorLeftItIsToldAllTheSame) {
  const std::string found = InChild([&]() -> std::string {
    auto own = MakeLoop();
    const pid_t pid = ForkPaused();
    const rlimit few = {.rlim_cur = 256, .rlim_max = 256};
    ::setrlimit(RLIMIT_NOFILE, &few);
    while (::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
    }
    std::optional<int> told;
    auto watch = own->WatchChild(pid, [&](int status) { told = status; });
    if (!watch.ok()) return watch.status().ToString();
    ::kill(pid, SIGKILL);
    return TurnUntil(*own, [&] { return told.has_value(); }) ? "told" : "not told";
  });
  EXPECT_EQ(found, "told");
}

TEST_P(ChildWatchTest, DestroyedWatchGivesTheChildBack) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    const pid_t pid = ForkPaused();
    bool told = false;
    auto watch = loop.WatchChild(pid, [&](int) { told = true; });
    loop.RunOnce(Duration::zero());
    watch->reset();
    ::kill(pid, SIGKILL);
    AwaitEnd(pid);
    for (int i = 0; i < 10; ++i) loop.RunOnce(std::chrono::milliseconds(20));
    findings.Expect(!told, "told after all");
    findings.Expect(IsChild(pid), "it was reaped");
    // It may be watched again.
    auto again = loop.WatchChild(pid, [&](int) { told = true; });
    findings.Expect(again.ok() && TurnUntil(loop, [&] { return told; }), "not told");
  });
}

TEST_P(ChildWatchTest, CallbackMayDestroyItsOwnWatchAndOthers) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    std::vector<pid_t> children;
    std::vector<ChildWatchPtr> watches(3);
    int told = 0;
    for (int i = 0; i < 3; ++i) {
      children.push_back(ForkExit(i));
      AwaitEnd(children.back());
      auto watch = loop.WatchChild(children.back(), [&](int) {
        ++told;
        // All three have ended: the others are due in the same turn.
        for (ChildWatchPtr& each : watches) each.reset();
      });
      if (!watch.ok()) return findings.Expect(false, watch.status().ToString());
      watches[static_cast<size_t>(i)] = *std::move(watch);
    }
    findings.Expect(TurnUntil(loop, [&] { return told > 0; }), "not told");
    for (int i = 0; i < 10; ++i) loop.RunOnce(std::chrono::milliseconds(20));
    findings.Expect(told == 1, "told of a child whose watch was gone");
    int left = 0;
    for (const pid_t child : children) {
      if (!IsChild(child)) continue;
      ++left;
      WaitFor(child);
    }
    findings.Expect(left == 2, "not two were given back");
  });
}

TEST_P(ChildWatchTest, CallbackMayWatchAnother) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    std::vector<ChildWatchPtr> watches;
    int told = 0;
    std::function<void()> next = [&] {
      auto watch = loop.WatchChild(ForkExit(0), [&](int) {
        if (++told < 5) next();
      });
      if (watch.ok()) watches.push_back(*std::move(watch));
    };
    next();
    findings.Expect(TurnUntil(loop, [&] { return told == 5; }), "not told");
  });
}

TEST_P(ChildWatchTest, WhatACallbackThrowsKeepsNoneFromBeingTold) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    std::vector<ChildWatchPtr> watches;
    int told = 0;
    for (int i = 0; i < 3; ++i) {
      const pid_t pid = ForkExit(0);
      AwaitEnd(pid);
      auto watch = loop.WatchChild(pid, [&](int) {
        ++told;
        throw std::runtime_error("on purpose");
      });
      if (watch.ok()) watches.push_back(*std::move(watch));
    }
    findings.Expect(TurnUntil(loop, [&] { return told == 3; }), "not all told");
    findings.Expect(loop.stats().exceptions == 3, "exceptions not counted");
  });
}

TEST_P(ChildWatchTest, WhoIsNoChildIsRefused) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    const pid_t reaped = ForkExit(0);
    WaitFor(reaped);
    for (const pid_t pid : {0, -1, -::getpid(), ::getpid(), ::getppid(), 1, reaped}) {
      const auto watch = loop.WatchChild(pid, [](int) {});
      findings.Expect(watch.status().code() == absl::StatusCode::kInvalidArgument,
                      "watched " + std::to_string(pid));
    }
  });
}

TEST_P(ChildWatchTest, ChildThatAnotherWaitedForHasNoStatus) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    std::optional<int> told;
    const pid_t pid = ForkPaused();
    auto watch = loop.WatchChild(pid, [&](int status) { told = status; });
    loop.RunOnce(Duration::zero());
    ::kill(pid, SIGKILL);
    WaitFor(pid);
    findings.Expect(TurnUntil(loop, [&] { return told.has_value(); }), "not told");
    findings.Expect(told == ChildWatch::kUnknownStatus, "a status");
    findings.Expect(!WIFEXITED(*told) && !WIFSIGNALED(*told), "looks like a status");
  });
}

TEST_P(ChildWatchTest, ReapedByItsOwnerItKeepsItsId) {
  OnBothPaths([](EventLoop& loop, Findings& findings) {
    const pid_t exiting = ForkExit(5);
    const pid_t killed = ForkPaused();
    std::map<pid_t, int> told;
    auto first = loop.WatchChild(
        exiting, [&](int status) { told[exiting] = status; }, ChildWatch::Reaping::kByOwner);
    auto second = loop.WatchChild(
        killed, [&](int status) { told[killed] = status; }, ChildWatch::Reaping::kByOwner);
    ::kill(killed, SIGTERM);
    findings.Expect(TurnUntil(loop, [&] { return told.size() == 2; }), "not told");
    for (int i = 0; i < 5; ++i) loop.RunOnce(std::chrono::milliseconds(1));
    for (const auto& [pid, status] : told) {
      int waited = 0;
      findings.Expect(::waitpid(pid, &waited, WNOHANG) == pid, "it was reaped");
      findings.Expect(waited == status, "not what waitpid tells");
    }
  });
}

TEST_P(ChildWatchTest, KilledAndLeftToTheLoopItIsReaped) {
  OnBothPaths([this](EventLoop& loop, Findings& findings) {
    for (const auto reaping : {ChildWatch::Reaping::kAtEnd, ChildWatch::Reaping::kByOwner}) {
      const pid_t pid = ForkPaused();
      bool told = false;
      auto watch = loop.WatchChild(
          pid, [&](int) { told = true; }, reaping);
      loop.KillAndReap(*std::move(watch));
      findings.Expect(TurnUntil(loop, [&] { return !IsChild(pid); }), "a zombie is left");
      findings.Expect(!told, "told");
    }
    // One that has ended already and was kept for its owner.
    const pid_t ended = ForkExit(0);
    bool told = false;
    auto watch = loop.WatchChild(
        ended, [&](int) { told = true; }, ChildWatch::Reaping::kByOwner);
    findings.Expect(TurnUntil(loop, [&] { return told; }), "not told");
    findings.Expect(IsChild(ended), "it was reaped");
    loop.KillAndReap(*std::move(watch));
    findings.Expect(!IsChild(ended), "a zombie is left");
    // The loop's end waits for those it has killed.
    auto other = MakeLoop();
    const pid_t last = ForkPaused();
    auto last_watch = other->WatchChild(last, [](int) {});
    other->KillAndReap(*std::move(last_watch));
    other.reset();
    findings.Expect(!IsChild(last), "the loop's end left a zombie");
  });
}

TEST_P(ChildWatchTest, WatchMayOutliveItsLoop) {
  OnBothPaths([this](EventLoop&, Findings& findings) {
    auto other = MakeLoop();
    const pid_t pid = ForkPaused();
    auto watch = other->WatchChild(pid, [](int) {});
    other->RunOnce(Duration::zero());
    other.reset();
    findings.Expect(!(*watch)->ended(), "ended");
    watch->reset();
    findings.Expect(IsChild(pid), "it was reaped");
    ::kill(pid, SIGKILL);
    WaitFor(pid);
  });
}

}  // namespace
}  // namespace quintet::testing
