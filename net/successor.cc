#include "net/successor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/inherited_sockets.h"
#include "net/socket_handover.h"
#include "net/unique_fd.h"

namespace quintet {
namespace {

constexpr char kReadyVariable[] = "QUINTET_READY_FD";

// What the successor writes: first "PID\n", then "ready\n".
constexpr std::string_view kReady = "\nready\n";

constexpr int kCannotExecute = 127;  // as shells have it

// In the grandchild, between fork(2) and execve(2): async-signal-safe.
[[noreturn]] void Execute(SocketHandover& handover, int report, char* const* arguments) {
  // As if it had been started by a shell: signals that this process blocks would stay blocked.
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Out of the way of the sockets, then behind them, where the program expects it.
  const int aside = ::fcntl(report, F_DUPFD_CLOEXEC, handover.end() + 1);
  if (aside < 0 || handover.Place() != 0) ::_exit(kCannotExecute);
  if (::dup2(aside, handover.end()) < 0) ::_exit(kCannotExecute);
  ::execve(arguments[0], arguments, handover.environment());
  ::_exit(kCannotExecute);
}

// Starts a process that is no child of this one, and calls `execute` in it, which does not return.
// Returns its id. Errors: ResourceExhausted.
template <typename Execute>
absl::StatusOr<pid_t> ForkTwice(const Execute& execute) {
  // The child tells the id of the grandchild as the value of a counter.
  const UniqueFd counter(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!counter.valid()) return ErrnoStatus(errno, "eventfd for a successor");
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus(errno, "fork");
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) execute();
    // As in the grandchild, only async-signal-safe functions.
    const auto value = static_cast<eventfd_t>(grandchild);
    const bool told = grandchild > 0 && ::write(counter.get(), &value, sizeof(value)) > 0;
    ::_exit(told ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  eventfd_t grandchild = 0;
  if (::eventfd_read(counter.get(), &grandchild) != 0) {
    return absl::ResourceExhaustedError("fork of a successor failed");
  }
  return static_cast<pid_t>(grandchild);
}

std::vector<std::string> Environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Successor>> Successor::Start(
    EventLoop& loop, const std::vector<std::string>& arguments, const ListenSockets& sockets,
    const std::vector<std::string>& further_environment, Events events) {
  std::vector<int> descriptors;
  std::vector<std::string> names;
  for (const auto& [fd, name] : sockets.descriptors()) {
    descriptors.push_back(fd);
    names.push_back(name);
  }
  std::vector<std::string> environment = Environment();
  environment.insert(environment.end(), further_environment.begin(), further_environment.end());
  environment.push_back(absl::StrCat(
      kReadyVariable, "=", static_cast<int>(descriptors.size()) + kFirstInheritedDescriptor));
  auto handover = SocketHandover::Create(descriptors, names, environment);
  if (!handover.ok()) return handover.status();
  std::vector<char*> argument_pointers;
  for (const std::string& argument : arguments) {
    argument_pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  argument_pointers.push_back(nullptr);

  // Not a pipe: writing to one whose reader has ended raises SIGPIPE.
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return ErrnoStatus(errno, "socketpair for a successor");
  }
  std::unique_ptr<Successor> successor(new Successor(std::move(events)));
  successor->socket_.Reset(ends[0]);
  const Socket theirs(ends[1]);
  auto watch = loop.Watch(ends[0], Readiness::kReadable, Trigger::kLevel,
                          [raw = successor.get()](Readiness) { raw->OnReadable(); });
  if (!watch.ok()) return watch.status();
  successor->watcher_ = *std::move(watch);

  const auto started =
      ForkTwice([&] { Execute(*handover, theirs.fd(), argument_pointers.data()); });
  if (!started.ok()) return started.status();
  successor->started_pid_ = *started;
  return successor;
}

Successor::~Successor() {
  if (watcher_ != nullptr) Kill(SIGTERM);
}

void Successor::Kill(int signo) const {
  if (started_pid_ > 0) ::kill(started_pid_, signo);
  if (said_pid_ > 0 && said_pid_ != started_pid_) ::kill(said_pid_, signo);
}

void Successor::TellLeft() const {
  // What it is does not matter, nor that one is lost where there are many.
  [[maybe_unused]] const ssize_t sent = ::send(socket_.fd(), "\n", 1, MSG_NOSIGNAL);
}

void Successor::OnReadable() {
  char bytes[64];
  const ssize_t count = ::read(socket_.fd(), bytes, sizeof(bytes));
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) {
    said_.append(bytes, static_cast<size_t>(count));
    const std::string_view first = std::string_view(said_).substr(0, said_.find('\n'));
    if (first.size() < said_.size()) {
      std::from_chars(first.data(), first.data() + first.size(), said_pid_);
    }
    if (!said_.ends_with(kReady)) return;
  }
  watcher_.reset();
  // Each may destroy this.
  if (count > 0) {
    const auto on_ready = events_.on_ready;
    on_ready(pid());
  } else {
    const auto on_failed = events_.on_failed;
    on_failed();
  }
}

absl::StatusOr<SuccessorReport> SuccessorReport::TakeFromEnvironment() {
  SuccessorReport report;
  const char* const value = ::getenv(kReadyVariable);
  if (value == nullptr) return report;
  const std::string text = value;
  ::unsetenv(kReadyVariable);
  int fd = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (parsed.ptr != text.data() + text.size() || fd <= STDERR_FILENO ||
      ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(kReadyVariable, "=", text, " is not an open descriptor"));
  }
  report.socket_.Reset(fd);
  const std::string pid = absl::StrCat(::getpid(), "\n");
  [[maybe_unused]] const ssize_t sent = ::send(fd, pid.data(), pid.size(), MSG_NOSIGNAL);
  return report;
}

absl::Status SuccessorReport::Ready(EventLoop& loop, std::function<void()> on_left) {
  if (!socket_.valid()) return absl::OkStatus();
  const std::string_view word = kReady.substr(1);
  [[maybe_unused]] const ssize_t sent =
      ::send(socket_.fd(), word.data(), word.size(), MSG_NOSIGNAL);
  on_left_ = std::move(on_left);
  auto watch = loop.Watch(socket_.fd(), Readiness::kReadable, Trigger::kLevel,
                          [this](Readiness) { OnReadable(); });
  if (!watch.ok()) return watch.status();
  watcher_ = *std::move(watch);
  return absl::OkStatus();
}

void SuccessorReport::OnReadable() {
  char bytes[64];
  const ssize_t count = ::recv(socket_.fd(), bytes, sizeof(bytes), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    watcher_.reset();
    socket_.Reset();
  }
  on_left_();
}

}  // namespace quintet
