#include "net/worker_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/run_child.h"

namespace quintet {
namespace {

// Closes what lies between the descriptors that are kept. close_range(2) is of Linux 5.9; before
// it, and where a filter forbids it, one by one.
void CloseAllBut(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned first = STDERR_FILENO + 1;
  const auto close_range = [](unsigned from, unsigned to) {
    if (from > to || ::close_range(from, to, 0) == 0) return;
    const long limit = ::sysconf(_SC_OPEN_MAX);
    for (unsigned fd = from; fd <= to && fd < static_cast<unsigned>(limit); ++fd) {
      ::close(static_cast<int>(fd));
    }
  };
  for (const int fd : kept) {
    if (fd < static_cast<int>(first)) continue;
    close_range(first, static_cast<unsigned>(fd) - 1);
    first = static_cast<unsigned>(fd) + 1;
  }
  close_range(first, ~0U);
}

[[noreturn]] void Begin(const std::function<int(Socket)>& main, Socket channel,
                        std::span<const int> kept) {
  std::vector<int> descriptors(kept.begin(), kept.end());
  descriptors.push_back(channel.fd());
  CloseAllBut(std::move(descriptors));
  RunChild([&] { return main(std::move(channel)); });
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Start(
    EventLoop& loop, const std::function<int(Socket)>& main, std::span<const int> kept,
    Events events) {
  auto pair = WorkerChannel::CreatePair();
  if (!pair.ok()) return pair.status();
  // What is buffered would be written by both.
  ::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) Begin(main, std::move(pair->second), kept);

  pair->second.Reset();
  // From here on its end is this object's to see to.
  std::unique_ptr<WorkerProcess> process(new WorkerProcess(pid, std::move(events)));
  auto watch = loop.WatchChild(pid, [raw = process.get()](int status) { raw->OnExit(status); });
  if (!watch.ok()) return watch.status();
  process->exit_watch_ = *std::move(watch);
  auto channel = WorkerChannel::Create(
      loop, std::move(pair->first),
      [raw = process.get()](WorkerMessage& message) {
        // It may be replaced meanwhile.
        const std::function<void(WorkerMessage&)> on_message = raw->events_.on_message;
        on_message(message);
      },
      // Its end is told by the process's own.
      [] {});
  if (!channel.ok()) return channel.status();
  process->channel_ = *std::move(channel);
  return process;
}

WorkerProcess::~WorkerProcess() {
  exit_watch_.reset();
  if (ended_) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void WorkerProcess::Kill(int signo) {
  if (!ended_) ::kill(pid_, signo);
}

void WorkerProcess::OnExit(int status) {
  ended_ = true;
  // Its last words, which may destroy this, as may what follows.
  const std::weak_ptr<bool> alive = alive_;
  if (channel_ != nullptr) channel_->Receive();
  if (alive.expired()) return;
  const std::function<void(int)> on_ended = events_.on_ended;
  on_ended(status);
}

std::string WorkerProcess::Describe(int status) {
  if (!WIFSIGNALED(status)) return absl::StrCat("exit code ", WEXITSTATUS(status));
  const char* const name = ::sigabbrev_np(WTERMSIG(status));
  return absl::StrCat("signal ", WTERMSIG(status), name == nullptr ? "" : " (SIG",
                      name == nullptr ? "" : name, name == nullptr ? "" : ")");
}

}  // namespace quintet
