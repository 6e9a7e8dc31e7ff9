#include "net/models/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "net/errno_status.h"
#include "net/run_child.h"
#include "reactor/signal_set.h"

namespace quintet {
namespace {

void SetHandler(int signo, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signo, &action, nullptr);
}

// Not SIG_IGN: programs that a session starts would inherit that through execve(2).
void DoNothing(int) {}

// What the parent may have blocked in all of its threads in order to take it by sigwaitinfo(2).
constexpr int kTakenByTheParent[] = {SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

void LeaveToTheParent(int signo) {
  struct sigaction now = {};
  ::sigaction(signo, nullptr, &now);
  if ((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN) return;
  SetHandler(signo, DoNothing);
}

// execve(2) keeps the mask, but not the handlers: what this child starts is as if it came from a
// shell.
[[noreturn]] void Begin(pid_t parent, sigset_t mask, absl::FunctionRef<int()> main) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have ended before it was asked for; then nobody is told any more.
  if (::getppid() != parent) ::_exit(EXIT_SUCCESS);
  SetHandler(SIGCHLD, SIG_DFL);
  for (const int signo : {SIGINT, SIGTERM}) {
    LeaveToTheParent(signo);
    sigdelset(&mask, signo);
  }
  for (const int signo : kTakenByTheParent) {
    if (sigismember(&mask, signo) != 1) continue;
    LeaveToTheParent(signo);
    sigdelset(&mask, signo);
  }
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  RunChild(main);
}

// Also when it has ended and was not waited for.
bool IsChild(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Children>> Children::Create(Clock& clock) {
  UniqueFd ended(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!ended.valid()) return ErrnoStatus(errno, "eventfd");
  std::unique_ptr<Children> children(new Children(clock, std::move(ended)));
  auto relay =
      SignalRelay::Create(SIGCHLD, children->fd(), /*value=*/1, SignalRelay::Former::kCalled);
  if (!relay.ok()) return relay.status();
  children->relay_ = *std::move(relay);
  const sigset_t set = SignalSet({SIGCHLD});
  sigset_t before;
  ::pthread_sigmask(SIG_UNBLOCK, &set, &before);
  children->was_blocked_ = sigismember(&before, SIGCHLD) == 1;
  return children;
}

Children::~Children() {
  Kill(SIGKILL);
  const std::vector<pid_t> left(pids_.begin(), pids_.end());
  for (const pid_t pid : left) ReapOne(pid, 0, [](pid_t, int) {});
  if (was_blocked_) {
    const sigset_t set = SignalSet({SIGCHLD});
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
}

pid_t Children::Start(absl::FunctionRef<int()> main) {
  // What is buffered would be written by both.
  ::fflush(nullptr);
  // The child must not run its parent's handlers.
  sigset_t all;
  sigfillset(&all);
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, &all, &mask);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  const int error = errno;
  if (pid == 0) {
    ::close(ended_.get());
    Begin(parent, mask, main);
  }
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  if (pid < 0) return -error;
  pids_.insert(pid);
  return pid;
}

void Children::Reap(absl::FunctionRef<void(pid_t, int)> on_ended) {
  // Before anybody is waited for: signals merge while one is pending, and the one for a child that
  // ends from here on must wake this thread again.
  uint64_t count;
  [[maybe_unused]] const ssize_t bytes = ::read(ended_.get(), &count, sizeof(count));
  size_t reaped = 0;
  for (;;) {
    // Who is next, without waiting for them: it may be a child of the embedding program's.
    siginfo_t next{};
    if (::waitid(P_ALL, 0, &next, WEXITED | WNOHANG | WNOWAIT) != 0 || next.si_pid == 0) break;
    if (!pids_.contains(next.si_pid)) {
      reaped = 0;  // it stands before others
      break;
    }
    if (ReapOne(next.si_pid, WNOHANG, on_ended)) ++reaped;
  }
  const TimePoint now = clock_.Now();
  if (reaped > 0 && now < look_at_) return;
  look_at_ = AddSaturated(now, kPeriod);
  const std::vector<pid_t> each(pids_.begin(), pids_.end());
  for (const pid_t pid : each) ReapOne(pid, WNOHANG, on_ended);
}

bool Children::ReapOne(pid_t pid, int options, absl::FunctionRef<void(pid_t, int)> on_ended) {
  int status = 0;
  pid_t waited;
  do {
    waited = ::waitpid(pid, &status, options);
  } while (waited < 0 && errno == EINTR);
  if (waited == 0) return false;
  if (waited < 0) status = 0;  // ECHILD: somebody else has waited for it
  pids_.erase(pid);
  on_ended(pid, status);
  return true;
}

void Children::Kill(int signo) {
  for (const pid_t pid : pids_) {
    if (IsChild(pid)) ::kill(pid, signo);
  }
}

}  // namespace quintet
