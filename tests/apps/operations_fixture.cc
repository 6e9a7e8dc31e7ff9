#include "tests/apps/operations_fixture.h"

#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"

namespace quintet::testing {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kTick{5};

uint64_t Seed() {
  const char* const given = std::getenv("QUINTET_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

std::string Name(const Operation& operation) {
  return absl::StrCat(operation.worker_kind, "_", operation.policy, "_",
                      std::string(BackendName(operation.backend)));
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Operation& operation) {
  return out << Name(operation);
}

std::string OperationName(const ::testing::TestParamInfo<Operation>& info) {
  return Name(info.param);
}

std::vector<Operation> EveryWorkerKind(const std::string& policy,
                                       const std::vector<BackendKind>& backends) {
  std::vector<Operation> operations;
  for (const char* const kind : {"thread", "process"}) {
    for (const BackendKind backend : backends) operations.push_back({kind, policy, backend});
  }
  return operations;
}

std::vector<Operation> EveryOperation(const std::vector<BackendKind>& backends) {
  std::vector<Operation> operations;
  for (const char* const policy : {"reuseport", "exclusive", "shared", "handoff"}) {
    for (const Operation& operation : EveryWorkerKind(policy, backends)) {
      operations.push_back(operation);
    }
  }
  return operations;
}

OperationsTest::OperationsTest() {
  const uint64_t seed = Seed();
  random_.seed(seed);
  std::cout << "QUINTET_TEST_SEED=" << seed << "\n";
}

void OperationsTest::SetUp() {
  if (!RequireBackend(GetParam().backend)) return;
}

void OperationsTest::TearDown() {
  if (HasFailure() && hello_ != nullptr) {
    std::cout << "hello said:\n" << absl::StrJoin(hello_->Lines(), "\n") << "\n";
  }
  hello_.reset();
  DescriptorLeakTest::TearDown();
}

bool OperationsTest::Start(int workers, const std::vector<std::string>& more,
                           const ChildProcess::Options& options) {
  std::vector<std::string> arguments = {
      "--backend",       std::string(BackendName(GetParam().backend)),
      "--worker-kind",   GetParam().worker_kind,
      "--listen-policy", GetParam().policy,
      "--shards",        absl::StrCat(workers),
      "--pin=false"};
  if (!listen.empty()) arguments.insert(arguments.end(), {"--listen", listen});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Launch(arguments, options);
}

bool OperationsTest::Launch(const std::vector<std::string>& arguments,
                            const ChildProcess::Options& options) {
  hello_ = std::make_unique<HelloProcess>(arguments, options);
  if (hello_->started()) return true;
  ADD_FAILURE() << "hello does not serve:\n" << absl::StrJoin(hello_->Lines(), "\n");
  return false;
}

Fd OperationsTest::Connect() const {
  Fd fd(::socket(address().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  SetTimeouts(fd.get(), kPeerTimeout);
  if (!testing::Connect(fd.get(), address().data(), address().size())) fd.Reset();
  return fd;
}

std::set<pid_t> OperationsTest::Workers() const {
  const std::vector<pid_t> children = LivingChildrenOf(hello_->pid());
  return {children.begin(), children.end()};
}

bool OperationsTest::Eventually(const std::function<bool()>& done) {
  const auto deadline = steady_clock::now() + kPatience;
  while (!done()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kTick);
  }
  return true;
}

void OperationsTest::ExpectCleanEnd() {
  hello_->Signal(SIGTERM);
  EXPECT_EQ(hello_->WaitForExit(), 0);
}

void OperationsTest::ExpectCleanEndOf(pid_t successor) {
  ASSERT_EQ(::kill(successor, SIGTERM), 0);
  EXPECT_EQ(HelloProcess::WaitForExitOf(successor), 0);
}

// "hello: successor 123 is ready".
pid_t OperationsTest::WaitForSuccessor() {
  const std::string line = hello_->WaitForLine(" is ready");
  const std::string before = "successor ";
  const size_t at = line.find(before);
  return at == std::string::npos ? 0 : std::atoi(line.c_str() + at + before.size());
}

pid_t OperationsTest::Upgrade(pid_t program) {
  EXPECT_EQ(::kill(program, SIGUSR2), 0);
  const pid_t successor = WaitForSuccessor();
  EXPECT_NE(successor, program);
  // Who was started by the test is its child already, and known to be.
  const bool first = program == hello_->pid();
  EXPECT_EQ(first ? hello_->WaitForExit() : HelloProcess::WaitForExitOf(program), 0);
  return successor;
}

uint64_t OperationsTest::Random(uint64_t at_least, uint64_t at_most) {
  return std::uniform_int_distribution<uint64_t>(at_least, at_most)(random_);
}

std::string Ask(const Fd& client, std::string_view fields) {
  const std::string request =
      absl::StrCat("GET / HTTP/1.1\r\nHost: test\r\n", std::string(fields), "\r\n");
  if (!SendAll(client.get(), request)) return "";
  std::string reply;
  while (!reply.ends_with("\r\n\r\nHello, World!")) {
    const std::string byte = ReceiveExactly(client.get(), 1);
    if (byte.empty()) return "";
    reply += byte;
  }
  return reply;
}

}  // namespace quintet::testing
