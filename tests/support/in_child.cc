#include "tests/support/in_child.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

namespace quintet::testing {
namespace {

// Above what tests put at low numbers, below every usual limit.
constexpr int kHighDescriptor = 200;

// The program under test answers at once, but on a loaded machine.
constexpr int kLinePatienceMs = 60'000;

Fd MoveUp(int fd) {
  Fd low(fd);
  return Fd(fcntl(low.get(), F_DUPFD_CLOEXEC, kHighDescriptor));
}

}  // namespace

HighPipe::HighPipe() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0) << strerror(errno);
  read = MoveUp(ends[0]);
  write = MoveUp(ends[1]);
  EXPECT_TRUE(read && write) << strerror(errno);
}

std::string HighPipe::ReadLine() const {
  std::string line;
  for (;;) {
    pollfd ready{.fd = read.get(), .events = POLLIN, .revents = 0};
    const int count = poll(&ready, 1, kLinePatienceMs);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) return line + "(nothing more came)";
    char c = 0;
    if (count < 0 || ::read(read.get(), &c, 1) != 1 || c == '\n') return line;
    line += c;
  }
}

void HighPipe::WriteLine(const std::string& line) const {
  const std::string text = line + "\n";
  EXPECT_EQ(::write(write.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()))
      << strerror(errno);
}

ForkedProcess::ForkedProcess(const std::function<int()>& body) {
  pid_ = fork();
  EXPECT_GE(pid_, 0) << strerror(errno);
  if (pid_ == 0) {
    alarm(kChildPatienceSeconds);
    _exit(body());
  }
  running_ = pid_ > 0;
}

ForkedProcess::~ForkedProcess() {
  if (!running_) return;
  Signal(SIGKILL);
  Wait();
}

void ForkedProcess::Signal(int signo) const {
  if (running_) kill(pid_, signo);
}

int ForkedProcess::Wait() {
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
  }
  EXPECT_EQ(ended, pid_) << strerror(errno);
  running_ = false;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string InChild(const std::function<std::string()>& body) {
  HighPipe pipe;
  ForkedProcess child([&] {
    pipe.read.Reset();
    const std::string text = body();
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t size = write(pipe.write.get(), text.data() + done, text.size() - done);
      if (size <= 0) return 1;
      done += static_cast<size_t>(size);
    }
    return 0;
  });
  pipe.write.Reset();
  std::string text;
  char buffer[4096];
  for (ssize_t size = 0; (size = read(pipe.read.get(), buffer, sizeof(buffer))) != 0;) {
    if (size > 0) text.append(buffer, static_cast<size_t>(size));
    if (size < 0 && errno != EINTR) break;
  }
  const int code = child.Wait();
  return code == 0 ? text : text + "(ended with " + std::to_string(code) + ")";
}

}  // namespace quintet::testing
