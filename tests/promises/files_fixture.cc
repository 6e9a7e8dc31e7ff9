#include "tests/promises/files_fixture.h"

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

#include "tests/support/backend_kinds.h"

namespace quintet::testing {
namespace {

// A file of some gigabytes on a busy machine.
constexpr std::chrono::minutes kClientPatience{10};

}  // namespace

uint64_t CountFrom(const char* name, uint64_t count) {
  const char* const given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 0) : count;
}

uint64_t PrintedSeed() {
  const uint64_t seed = CountFrom("QUINTET_TEST_SEED", std::random_device{}());
  std::cout << "QUINTET_TEST_SEED=" << seed << "\n";
  return seed;
}

std::set<std::string> NamesIn(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

std::set<std::string> VisibleNamesIn(const std::string& directory) {
  std::set<std::string> names = NamesIn(directory);
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  return names;
}

void FilesTest::SetUp() {
  if (!RequireBackend(GetParam())) return;
}

void FilesTest::TearDown() {
  server_.reset();
  DescriptorLeakTest::TearDown();
}

bool FilesTest::StartServer(const std::vector<std::string>& more) {
  const std::string backend(BackendName(GetParam()));
  std::vector<std::string> arguments = {"serve",    "--root",      served(),
                                        "--listen", "127.0.0.1:0", "--backend",
                                        backend,    "--shards",    "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  server_.reset();
  server_ = std::make_unique<ServerProcess>(QUINTET_FILES_PATH, arguments);
  const std::string& line = server_->start_line();
  const bool on_backend = line.find(" backend " + backend) != std::string::npos;
  EXPECT_TRUE(on_backend) << line << ::testing::PrintToString(server_->Lines());
  return server_->started() && on_backend;
}

int64_t FilesTest::StopServer() {
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(), 0) << ::testing::PrintToString(server_->Lines());
  const int64_t peak = server_->peak_rss_bytes();
  server_.reset();
  return peak;
}

void FilesTest::ForgetServer() {
  EXPECT_EQ(server_->WaitForExit(), 128 + SIGKILL);
  server_.reset();
}

std::unique_ptr<ChildProcess> FilesTest::StartClient(const std::vector<std::string>& arguments) {
  return std::make_unique<ChildProcess>(QUINTET_FILES_PATH, arguments);
}

FilesTest::ClientResult FilesTest::WaitForClient(ChildProcess& client) {
  ClientResult result;
  result.exit_code = client.Wait(kClientPatience);
  result.peak_rss_bytes = client.peak_rss_bytes();
  result.output = client.output();
  result.error = client.error();
  return result;
}

FilesTest::ClientResult FilesTest::RunClient(const std::vector<std::string>& arguments) {
  return WaitForClient(*StartClient(arguments));
}

}  // namespace quintet::testing
