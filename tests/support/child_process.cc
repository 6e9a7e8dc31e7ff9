#include "tests/support/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

namespace quintet::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Longer than any test takes; sanitizers slow the program down.
constexpr seconds kPatience{60};

struct Pipe {
  Fd read;
  Fd write;
};

Pipe MakePipe() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0) << strerror(errno);
  return {Fd(fds[0]), Fd(fds[1])};
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t size = 0; (size = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, size);
  return text;
}

}  // namespace

ChildProcess::ChildProcess(const std::string& program, const std::vector<std::string>& arguments,
                           const Options& options) {
  // Everything is prepared before fork(2): the child only makes system calls.
  std::vector<std::string> texts = {program};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = options.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("QUINTET_")) environment.emplace_back(*entry);
  }
  const std::vector<char*> argv = Pointers(texts);
  const std::vector<char*> envp = Pointers(environment);

  Pipe output = MakePipe();
  Pipe error = MakePipe();
  Fd file;
  if (!options.standard_output.empty()) {
    file.Reset(open(options.standard_output.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_TRUE(file) << options.standard_output << ": " << strerror(errno);
  }
  pid_ = fork();
  if (pid_ == 0) {
    dup2(file ? file.get() : output.write.get(), STDOUT_FILENO);
    dup2(error.write.get(), STDERR_FILENO);
    if (options.before_exec) options.before_exec();
    execve(program.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  EXPECT_GT(pid_, 0) << strerror(errno);
  running_ = pid_ > 0;
  output_ = std::move(output.read);
  error_ = std::move(error.read);
}

ChildProcess::~ChildProcess() {
  if (!running_) return;
  Signal(SIGKILL);
  Wait();
}

std::string ChildProcess::ReadErrorLine() {
  std::string line;
  const auto deadline = steady_clock::now() + kPatience;
  while (steady_clock::now() < deadline) {
    pollfd ready{.fd = error_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, 100) <= 0) continue;
    char c = 0;
    if (read(error_.get(), &c, 1) != 1 || c == '\n') return line;
    line += c;
  }
  ADD_FAILURE() << "no line on standard error; so far: " << line;
  return line;
}

void ChildProcess::Signal(int signo) const {
  if (running_) kill(pid_, signo);
}

int ChildProcess::Wait(seconds patience) {
  const auto deadline = steady_clock::now() + patience;
  int status = 0;
  pid_t ended = 0;
  rusage usage = {};
  while (running_ && (ended = wait4(pid_, &status, WNOHANG, &usage)) == 0) {
    if (steady_clock::now() > deadline) {
      Signal(SIGKILL);
      waitpid(pid_, &status, 0);
      running_ = false;
      return -1;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  if (ended == pid_) peak_rss_bytes_ = int64_t{usage.ru_maxrss} * 1024;
  running_ = false;
  if (ended != pid_) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string ChildProcess::output() { return ReadAll(output_.get()); }

std::string ChildProcess::error() { return ReadAll(error_.get()); }

std::string WithoutStalls(const std::string& lines) {
  std::istringstream text(lines);
  std::string others;
  for (std::string line; std::getline(text, line);) {
    if (line.find(": stall: ") == std::string::npos) others.append(line).append("\n");
  }
  return others;
}

}  // namespace quintet::testing
