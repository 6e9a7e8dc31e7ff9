// Fixture of the tests of operations: the hello program under load, once for each way to run it.
#ifndef QUINTET_TESTS_APPS_OPERATIONS_FIXTURE_H_
#define QUINTET_TESTS_APPS_OPERATIONS_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/backend_kind.h"
#include "tests/support/descriptors.h"
#include "tests/support/hello_process.h"
#include "tests/support/http_load.h"

namespace quintet::testing {

// How hello is run.
struct Operation {
  std::string worker_kind;  // "thread", "process"
  std::string policy;       // "reuseport", "exclusive", "shared", "handoff"
  BackendKind backend;

  bool processes() const { return worker_kind == "process"; }
};
std::ostream& operator<<(std::ostream& out, const Operation& operation);
// "process_handoff_epoll_et".
std::string OperationName(const ::testing::TestParamInfo<Operation>& info);

// Every worker kind with every policy on each backend of `backends`.
std::vector<Operation> EveryOperation(const std::vector<BackendKind>& backends);
// Every worker kind with one policy.
std::vector<Operation> EveryWorkerKind(const std::string& policy,
                                       const std::vector<BackendKind>& backends);

class OperationsTest : public DescriptorLeakTest, public ::testing::WithParamInterface<Operation> {
 protected:
  // Connections of each load.
  static constexpr size_t kConnections = 64;

  OperationsTest();
  void SetUp() override;
  void TearDown() override;

  // Starts hello on `listen`, as the parameter says, with `workers` workers that are not pinned and
  // more arguments. False, and the test has failed, when it does not serve.
  [[nodiscard]] bool Start(int workers, const std::vector<std::string>& more = {},
                           const ChildProcess::Options& options = {});
  // An address; empty: the configuration says it.
  std::string listen = "127.0.0.1:0";

  // The same with these arguments and no others.
  [[nodiscard]] bool Launch(const std::vector<std::string>& arguments,
                            const ChildProcess::Options& options = {});

  HelloProcess& hello() { return *hello_; }
  const Address& address() const { return hello_->addresses().front(); }
  // A blocking client with timeouts; no descriptor where nobody listens.
  Fd Connect() const;
  // The processes that serve at this moment: the living children of the program.
  std::set<pid_t> Workers() const;

  // Looks again and again until `done()`; false when it was not within a minute.
  [[nodiscard]] static bool Eventually(const std::function<bool()>& done);
  // SIGTERM: the program ends, and with 0.
  void ExpectCleanEnd();
  // The same for a successor.
  static void ExpectCleanEndOf(pid_t successor);

  // Waits for the line which says that a successor is ready, and returns its id; 0, and the test
  // has failed, when it does not come.
  pid_t WaitForSuccessor();
  // SIGUSR2 to `program`, which is hello or a successor of it: waits for the successor, then for
  // the end of `program`. As WaitForSuccessor().
  pid_t Upgrade(pid_t program);

  // Of a seed that is printed; QUINTET_TEST_SEED sets it.
  uint64_t Random(uint64_t at_least, uint64_t at_most);

 private:
  std::unique_ptr<HelloProcess> hello_;
  std::mt19937_64 random_;
};

// Sends a GET of "/" with more fields, each with its CRLF, and reads the reply to the end of
// "Hello, World!". Empty when the connection ends before.
std::string Ask(const Fd& client, std::string_view fields = "");

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_APPS_OPERATIONS_FIXTURE_H_
