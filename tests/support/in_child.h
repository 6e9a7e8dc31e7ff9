// Runs a part of a test in a forked process: what changes the process itself (its environment, its
// low descriptors, its session) then harms no other test.
#ifndef QUINTET_TESTS_SUPPORT_IN_CHILD_H_
#define QUINTET_TESTS_SUPPORT_IN_CHILD_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "tests/support/descriptors.h"

namespace quintet::testing {

// Runs `body` in a forked process and returns what it returned; what it was killed by, where it was
// killed, which also happens after kChildPatienceSeconds. Expectations inside would go unnoticed:
// the text is what tells.
std::string InChild(const std::function<std::string()>& body);
inline constexpr unsigned kChildPatienceSeconds = 120;

// A process that waits until it is let go or dies, for tests that need two at once.
class ForkedProcess {
 public:
  // `body` returns the exit code.
  explicit ForkedProcess(const std::function<int()>& body);
  // Kills it, if it still runs.
  ~ForkedProcess();
  ForkedProcess(const ForkedProcess&) = delete;
  ForkedProcess& operator=(const ForkedProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signo) const;
  // Waits for the end: the exit code, or 128 and the number of the signal that killed it.
  int Wait();

 private:
  pid_t pid_ = -1;
  bool running_ = false;
};

// A pipe whose ends are above the descriptors that a test gives numbers to, close-on-exec.
struct HighPipe {
  HighPipe();

  // One line, without its end; empty at the end of the file. Says so where none comes for a minute.
  std::string ReadLine() const;
  void WriteLine(const std::string& line) const;

  Fd read;
  Fd write;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_IN_CHILD_H_
