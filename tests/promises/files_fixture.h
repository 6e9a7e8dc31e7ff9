// Fixture of the promises about files: the program `files` as server and as client, once for each
// backend.
#ifndef QUINTET_TESTS_PROMISES_FILES_FIXTURE_H_
#define QUINTET_TESTS_PROMISES_FILES_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/backend_kind.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/scratch_directory.h"
#include "tests/support/server_process.h"

namespace quintet::testing {

// `count`, unless the environment variable `name` has another number.
uint64_t CountFrom(const char* name, uint64_t count);
// Of the tests' random numbers: QUINTET_TEST_SEED, or another each time. Printed.
uint64_t PrintedSeed();

// The names in a directory, without "." and "..".
std::set<std::string> NamesIn(const std::string& directory);
// Those that a listing shows: they do not begin with a dot.
std::set<std::string> VisibleNamesIn(const std::string& directory);

class FilesTest : public DescriptorLeakTest, public ::testing::WithParamInterface<BackendKind> {
 protected:
  struct ClientResult {
    int exit_code = -1;
    int64_t peak_rss_bytes = 0;
    std::string output = {};
    std::string error = {};
  };

  void SetUp() override;
  void TearDown() override;

  // What the server serves, and a directory of the clients.
  std::string Served(std::string_view name) const { return served_ / name; }
  std::string Local(std::string_view name) const { return local_ / name; }
  const std::string& served() const { return served_.path(); }
  const std::string& local() const { return local_.path(); }

  // `files serve` with one shard on the parameter's backend, which is asserted. False, and the test
  // has failed, when it does not serve.
  [[nodiscard]] bool StartServer(const std::vector<std::string>& more = {});
  // SIGTERM: it ends, and with 0. Returns the most that was resident.
  int64_t StopServer();
  // It was killed: waits for its end.
  void ForgetServer();
  ServerProcess& server() { return *server_; }
  const Address& address() const { return server_->addresses().front(); }
  std::string server_name() const { return address().ToString(); }

  // The client: "get", "HOST:PORT", "remote", ...
  static std::unique_ptr<ChildProcess> StartClient(const std::vector<std::string>& arguments);
  static ClientResult WaitForClient(ChildProcess& client);
  static ClientResult RunClient(const std::vector<std::string>& arguments);

 private:
  const ScratchDirectory served_;
  const ScratchDirectory local_;
  std::unique_ptr<ServerProcess> server_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_PROMISES_FILES_FIXTURE_H_
