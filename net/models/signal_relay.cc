#include "net/models/signal_relay.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"

namespace quintet {
namespace {

// Read by handlers at any moment, hence atomics only.
struct Entry {
  std::atomic<int> signo = 0;  // 0: free, or not yet complete
  std::atomic<int> fd = -1;
  std::atomic<uint64_t> value = 0;
  std::atomic<pid_t> process = 0;  // whose relay it is
};
std::array<Entry, SignalRelay::kMost> entries;
// Handlers in progress, on other threads or below this one.
std::atomic<int> inside = 0;

// What was there before the first relay of a signal.
struct Before {
  struct sigaction action = {};
  std::atomic<bool> called = false;
  std::atomic<pid_t> process = 0;  // whose relays they are
  int relays = 0;                  // of that process
};
std::array<Before, NSIG> before;
std::mutex mutex;  // of whoever changes the above

void CallFormer(int signo, siginfo_t* info, void* context) {
  const Before& former = before[static_cast<size_t>(signo)];
  if (!former.called.load()) return;
  if ((former.action.sa_flags & SA_SIGINFO) != 0) {
    former.action.sa_sigaction(signo, info, context);
  } else if (former.action.sa_handler != SIG_DFL && former.action.sa_handler != SIG_IGN) {
    former.action.sa_handler(signo);
  }
}

// Of a process that was forked since, to which the relays do not belong: the signal comes once
// more, and finds what was there before them.
void GiveBack(int signo) {
  ::sigaction(signo, &before[static_cast<size_t>(signo)].action, nullptr);
  ::raise(signo);  // blocked until the handler returns
}

void OnSignal(int signo, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  inside.fetch_add(1);
  const pid_t self = ::getpid();
  for (const Entry& entry : entries) {
    if (entry.signo.load() != signo || entry.process.load() != self) continue;
    const uint64_t value = entry.value.load();
    [[maybe_unused]] const ssize_t written = ::write(entry.fd.load(), &value, sizeof(value));
  }
  if (before[static_cast<size_t>(signo)].process.load() == self) {
    CallFormer(signo, info, context);
  } else {
    GiveBack(signo);
  }
  inside.fetch_sub(1);
  errno = saved_errno;
}

bool IsOurs(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == OnSignal;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SignalRelay>> SignalRelay::Create(int signo, int fd, uint64_t value,
                                                                 Former former) {
  if (signo <= 0 || signo >= NSIG) {
    return absl::InvalidArgumentError(absl::StrCat("there is no signal ", signo));
  }
  const std::lock_guard lock(mutex);
  const auto free = std::find_if(entries.begin(), entries.end(),
                                 [](const Entry& entry) { return entry.signo.load() == 0; });
  if (free == entries.end()) return absl::ResourceExhaustedError("too many signal relays");
  Before& earlier = before[static_cast<size_t>(signo)];
  const pid_t self = ::getpid();
  // Those of the process that this one was forked by are not its own.
  if (earlier.process.load() != self) earlier.relays = 0;
  if (earlier.relays == 0) {
    struct sigaction now = {};
    if (::sigaction(signo, nullptr, &now) != 0) {
      return ErrnoStatus(errno, absl::StrCat("sigaction of signal ", signo));
    }
    // Known before the handler can ask for it.
    if (!IsOurs(now)) earlier.action = now;
    earlier.called = former == Former::kCalled;
    earlier.process = self;
    struct sigaction action = {};
    action.sa_sigaction = OnSignal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    if (::sigaction(signo, &action, nullptr) != 0) {
      return ErrnoStatus(errno, absl::StrCat("sigaction of signal ", signo));
    }
  }
  ++earlier.relays;
  free->fd = fd;
  free->value = value;
  free->process = self;
  free->signo = signo;
  return std::unique_ptr<SignalRelay>(
      new SignalRelay(static_cast<size_t>(free - entries.begin()), signo));
}

SignalRelay::~SignalRelay() {
  const std::lock_guard lock(mutex);
  entries[index_].signo = 0;
  // A handler on another thread may be about to write to the descriptor.
  while (inside.load() != 0) std::this_thread::yield();
  if (entries[index_].process.load() != ::getpid()) return;
  Before& earlier = before[static_cast<size_t>(signo_)];
  if (--earlier.relays > 0) return;
  struct sigaction now = {};
  ::sigaction(signo_, nullptr, &now);
  // Who has put another handler in its place since then keeps it.
  if (IsOurs(now)) ::sigaction(signo_, &earlier.action, nullptr);
}

}  // namespace quintet
