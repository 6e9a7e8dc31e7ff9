// The files program as its users run it: a server on a free port, and clients.
#ifndef QUINTET_TESTS_APPS_FILES_PROCESS_H_
#define QUINTET_TESTS_APPS_FILES_PROCESS_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/child_process.h"

namespace quintet::testing {

class FilesServer {
 public:
  explicit FilesServer(const std::string& root, const std::vector<std::string>& more = {},
                       const std::string& address = "127.0.0.1:0")
      : child_(QUINTET_FILES_PATH, Arguments(root, more, address)) {
    const std::string prefix = "files: listening on ";
    const std::string line = child_.ReadErrorLine();
    EXPECT_TRUE(line.starts_with(prefix)) << line;
    if (line.size() > prefix.size()) {
      address_ = line.substr(prefix.size(), line.find(';') - prefix.size());
    }
  }

  const std::string& address() const { return address_; }
  ChildProcess& child() { return child_; }

 private:
  static std::vector<std::string> Arguments(const std::string& root,
                                            const std::vector<std::string>& more,
                                            const std::string& address) {
    std::vector<std::string> arguments = {"serve",   "--root", root,        "--listen", address,
                                          "--fsync", "none",   "--backend", "poll"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  ChildProcess child_;
  std::string address_ = "127.0.0.1:1";
};

struct Ended {
  int code = -1;
  std::string output;
  std::string error;
};

inline Ended RunFiles(const std::vector<std::string>& arguments) {
  ChildProcess child(QUINTET_FILES_PATH, arguments);
  const int code = child.Wait();
  return {code, child.output(), child.error()};
}

// Looks again and again until `done()`; false, and the test has failed, after a minute.
inline bool WaitUntil(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "it did not come";
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_APPS_FILES_PROCESS_H_
