// The hello program as its operator runs it.
#ifndef QUINTET_TESTS_SUPPORT_HELLO_PROCESS_H_
#define QUINTET_TESTS_SUPPORT_HELLO_PROCESS_H_

#include <string>
#include <vector>

#include "tests/support/server_process.h"

namespace quintet::testing {

class HelloProcess final : public ServerProcess {
 public:
  explicit HelloProcess(const std::vector<std::string>& arguments,
                        const ChildProcess::Options& options = {})
      : ServerProcess(QUINTET_HELLO_PATH, arguments, options) {}
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_HELLO_PROCESS_H_
