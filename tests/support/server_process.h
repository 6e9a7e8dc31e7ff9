// A server program as its operator runs it: started, signalled, and read by its log.
#ifndef QUINTET_TESTS_SUPPORT_SERVER_PROCESS_H_
#define QUINTET_TESTS_SUPPORT_SERVER_PROCESS_H_

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/address.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {

// It, its workers and its successors (whose output comes here too) are one process group and are
// killed with this object. Whoever of them loses its parent becomes a child of the test
// (PR_SET_CHILD_SUBREAPER), so that the test can wait for it. Make it on the main thread: the
// program is killed when the thread that started it ends.
class ServerProcess {
 public:
  // Starts it and waits until it says where it listens, or ends.
  ServerProcess(const std::string& program, const std::vector<std::string>& arguments,
                const ChildProcess::Options& options = {});
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Whether it said where it listens.
  bool started() const { return !addresses_.empty(); }
  // "NAME: listening on ADDRESS, ADDRESS; backend ...", and the addresses in it, with real ports.
  const std::string& start_line() const { return start_line_; }
  const std::vector<Address>& addresses() const { return addresses_; }

  // The process that was started. A successor's stands in the log.
  pid_t pid() const { return child_.pid(); }
  void Signal(int signo) const { child_.Signal(signo); }

  // The first line of standard error that holds `text`, behind the line that was found last; waits
  // for it. Empty, and the test has failed, when it does not come within a minute or all is over.
  std::string WaitForLine(std::string_view text);
  // Waits until as many lines of all hold `text`; false, and the test has failed, when they do not
  // come.
  bool WaitForLines(std::string_view text, size_t count);
  std::vector<std::string> Lines() const;
  size_t CountLines(std::string_view text) const;

  // Waits for the end of the process that was started: see ChildProcess::Wait().
  int WaitForExit() { return child_.Wait(); }
  // Of it, behind WaitForExit(): see ChildProcess.
  int64_t peak_rss_bytes() const { return child_.peak_rss_bytes(); }
  // The same for one of the others, once it is a child of the test: its parent must have ended.
  static int WaitForExitOf(pid_t pid);

 private:
  void ReadLines();
  // Waits for `done()`, called with the lock held. False when it did not come.
  bool WaitUntil(const std::function<bool()>& done);
  void ParseStartLine();

  ChildProcess child_;
  const Fd error_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  bool at_end_ = false;
  size_t next_line_ = 0;  // of WaitForLine()
  std::atomic<bool> stop_ = false;

  std::string start_line_;
  std::vector<Address> addresses_;
  std::thread reader_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_SERVER_PROCESS_H_
