#include "tests/support/server_process.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace quintet::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Longer than anything takes that is waited for; sanitizers slow the program down.
constexpr std::chrono::seconds kPatience{60};
constexpr milliseconds kTick{10};
// Behind the name of the program.
constexpr std::string_view kStart = ": listening on ";

ChildProcess::Options InAGroupOfItsOwn(ChildProcess::Options options) {
  options.before_exec = [next = std::move(options.before_exec)] {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (next) next();
  };
  return options;
}

// Before the program starts, so that nobody is lost.
ChildProcess::Options Prepared(const ChildProcess::Options& options) {
  EXPECT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  return InAGroupOfItsOwn(options);
}

bool Holds(const std::string& line, std::string_view text) {
  return line.find(text) != std::string::npos;
}

}  // namespace

ServerProcess::ServerProcess(const std::string& program, const std::vector<std::string>& arguments,
                             const ChildProcess::Options& options)
    : child_(program, arguments, Prepared(options)), error_(child_.TakeError()) {
  reader_ = std::thread([this] { ReadLines(); });
  const auto started = [this] {
    for (; next_line_ < lines_.size(); ++next_line_) {
      if (!Holds(lines_[next_line_], kStart)) continue;
      start_line_ = lines_[next_line_++];
      return true;
    }
    return at_end_;
  };
  EXPECT_TRUE(WaitUntil(started)) << "neither a start line nor an end";
  ParseStartLine();
}

ServerProcess::~ServerProcess() {
  const pid_t group = pid();
  ::kill(-group, SIGKILL);
  child_.Wait();
  // Parents are gone, so all that are left are children of this process now.
  while (::waitpid(-group, nullptr, 0) > 0 || errno == EINTR) {
  }
  stop_ = true;
  reader_.join();
}

void ServerProcess::ReadLines() {
  std::string rest;
  for (bool end = false; !end && !stop_;) {
    pollfd ready{.fd = error_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(kTick.count())) <= 0) continue;
    char buffer[4096];
    const ssize_t size = ::read(error_.get(), buffer, sizeof(buffer));
    end = size == 0 || (size < 0 && errno != EINTR);
    if (size > 0) rest.append(buffer, static_cast<size_t>(size));
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t line_end = 0; (line_end = rest.find('\n')) != std::string::npos;) {
      lines_.push_back(rest.substr(0, line_end));
      rest.erase(0, line_end + 1);
    }
    at_end_ = end;
    changed_.notify_all();
  }
}

void ServerProcess::ParseStartLine() {
  if (start_line_.empty()) return;
  const size_t begin = start_line_.find(kStart) + kStart.size();
  const std::string list = start_line_.substr(begin, start_line_.find(';', begin) - begin);
  for (const auto& text : absl::StrSplit(list, ", ")) {
    const auto address = Address::Parse(std::string(text));
    EXPECT_TRUE(address.ok()) << address.status();
    if (address.ok()) addresses_.push_back(*address);
  }
}

bool ServerProcess::WaitUntil(const std::function<bool()>& done) {
  std::unique_lock<std::mutex> lock(mutex_);
  bool is_done = false;
  changed_.wait_for(lock, kPatience, [&] { return (is_done = done()) || at_end_; });
  return is_done;
}

std::string ServerProcess::WaitForLine(std::string_view text) {
  std::string found;
  const auto look = [&] {
    for (; next_line_ < lines_.size(); ++next_line_) {
      if (!Holds(lines_[next_line_], text)) continue;
      found = lines_[next_line_++];
      return true;
    }
    return false;
  };
  EXPECT_TRUE(WaitUntil(look)) << "no line with \"" << text << "\" in\n"
                               << absl::StrJoin(Lines(), "\n");
  return found;
}

bool ServerProcess::WaitForLines(std::string_view text, size_t count) {
  const auto enough = [&] {
    const auto holds = [text](const std::string& line) { return Holds(line, text); };
    return static_cast<size_t>(std::count_if(lines_.begin(), lines_.end(), holds)) >= count;
  };
  const bool came = WaitUntil(enough);
  EXPECT_TRUE(came) << "fewer than " << count << " lines with \"" << text << "\" in\n"
                    << absl::StrJoin(Lines(), "\n");
  return came;
}

std::vector<std::string> ServerProcess::Lines() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return lines_;
}

size_t ServerProcess::CountLines(std::string_view text) const {
  const std::vector<std::string> lines = Lines();
  return static_cast<size_t>(std::count_if(
      lines.begin(), lines.end(), [text](const std::string& line) { return Holds(line, text); }));
}

int ServerProcess::WaitForExitOf(pid_t pid) {
  const auto deadline = steady_clock::now() + kPatience;
  int status = 0;
  // ECHILD until it has been inherited.
  while (::waitpid(pid, &status, WNOHANG) != pid) {
    if (steady_clock::now() > deadline) return -1;
    std::this_thread::sleep_for(kTick);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace quintet::testing
