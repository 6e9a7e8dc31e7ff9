// Runs a program as its user does and looks at what it says and how it ends.
#ifndef QUINTET_TESTS_SUPPORT_CHILD_PROCESS_H_
#define QUINTET_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/descriptors.h"

namespace quintet::testing {

// The process is killed with this object if it still runs. Output is read at the end, or line by
// line; more than a pipe holds (64 KiB) would stop the program.
class ChildProcess {
 public:
  struct Options {
    // Added to the environment, from which every QUINTET_ variable of the test is taken out.
    std::vector<std::string> environment = {};  // "NAME=value"
    std::function<void()> before_exec = {};     // in the child
    std::string standard_output = {};           // a file instead of the pipe
  };

  ChildProcess(const std::string& program, const std::vector<std::string>& arguments,
               const Options& options);
  ChildProcess(const std::string& program, const std::vector<std::string>& arguments)
      : ChildProcess(program, arguments, Options()) {}
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  // Standard error, to be read by the caller from here on.
  Fd TakeError() { return std::move(error_); }

  // The next line of standard error, without its end; waits for it. Empty at the end of the output.
  std::string ReadErrorLine();

  void Signal(int signo) const;

  // Waits for the end: the exit code, 128 and the signal's number for a process that was killed, -1
  // for one that did not end in time (and is killed).
  int Wait(std::chrono::seconds patience = std::chrono::seconds(60));
  // The most that was resident at a time, once Wait() has seen it end: of the program, and of this
  // process at the moment of fork(2), of which it begins as a copy (getrusage(2)).
  int64_t peak_rss_bytes() const { return peak_rss_bytes_; }

  // All of standard output, and what was not yet read of standard error. After Wait().
  std::string output();
  std::string error();

 private:
  pid_t pid_ = -1;
  bool running_ = false;
  int64_t peak_rss_bytes_ = 0;
  Fd output_;
  Fd error_;
};

// `lines` without those that tell of a stall (reactor/turn_meter.h), which a busy machine brings.
std::string WithoutStalls(const std::string& lines);

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_CHILD_PROCESS_H_
