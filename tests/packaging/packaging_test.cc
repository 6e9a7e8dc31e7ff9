// The files of packaging/, each judged by the program that reads it where that is installed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "apps/hello/hello_program.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/scratch_directory.h"

namespace quintet {
namespace {

using std::chrono::seconds;
using testing::ChildProcess;
using ::testing::HasSubstr;

constexpr char kDirectory[] = QUINTET_SOURCE_DIR "/packaging/";
constexpr char kProgram[] = "/usr/local/bin/quintet-hello";

std::string ReadFile(const std::string& name) {
  const std::ifstream file(kDirectory + name);
  EXPECT_TRUE(file.is_open()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Where a program is installed; empty where it is not.
std::string Find(const std::string& program) {
  for (const char* directory :
       {"/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/sbin/", "/usr/local/bin/"}) {
    std::string path = directory + program;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

// What follows the only `label` of the text, as a number of seconds.
seconds SecondsAfter(const std::string& text, const std::string& label) {
  const size_t at = text.find(label);
  EXPECT_NE(at, std::string::npos) << label;
  EXPECT_EQ(text.find(label, at + 1), std::string::npos) << label;
  if (at == std::string::npos) return seconds(0);
  return seconds(atoi(text.c_str() + at + label.size()));
}

class PackagingTest : public testing::DescriptorLeakTest {
 protected:
  const testing::ScratchDirectory directory_;
};

TEST_F(PackagingTest, SystemdAcceptsTheUnits) {
  const std::string analyze = Find("systemd-analyze");
  if (analyze.empty()) GTEST_SKIP() << "no systemd-analyze here";
  // As they are, but for the program, which is not installed here.
  std::string service = ReadFile("quintet-hello.service");
  const std::string start = std::string("\nExecStart=") + kProgram + " ";
  const size_t at = service.find(start);
  ASSERT_NE(at, std::string::npos);
  service.replace(at, start.size(), "\nExecStart=" QUINTET_HELLO_PATH " ");
  const std::string service_path = directory_ / "quintet-hello.service";
  const std::string socket_path = directory_ / "quintet-hello.socket";
  std::ofstream(service_path) << service;
  std::ofstream(socket_path) << ReadFile("quintet-hello.socket");

  ChildProcess verify(analyze, {"verify", "--man=no", service_path, socket_path});
  EXPECT_EQ(verify.Wait(), 0);
  // Unknown keys are a warning and no failure to it.
  EXPECT_EQ(verify.output() + verify.error(), "");
}

TEST_F(PackagingTest, SystemdWaitsLongerThanTheServerDrains) {
  EXPECT_GT(SecondsAfter(ReadFile("quintet-hello.service"), "\nTimeoutStopSec="),
            hello::HelloProgram().defaults.server.drain_timeout);
}

TEST_F(PackagingTest, HaproxyAcceptsItsConfiguration) {
  const std::string haproxy = Find("haproxy");
  if (haproxy.empty()) GTEST_SKIP() << "no haproxy here";
  ChildProcess check(haproxy, {"-c", "-f", std::string(kDirectory) + "haproxy.cfg"});
  EXPECT_EQ(check.Wait(), 0);
  const std::string output = check.output() + check.error();
  EXPECT_THAT(output, HasSubstr("Configuration file is valid"));
  EXPECT_THAT(output, ::testing::Not(HasSubstr("WARNING")));
}

TEST_F(PackagingTest, HaproxyAcceptsItsVariantWithTheProxyProtocol) {
  const std::string haproxy = Find("haproxy");
  if (haproxy.empty()) GTEST_SKIP() << "no haproxy here";
  std::string text = ReadFile("haproxy.cfg");
  const size_t given = text.find("    default-server ");
  ASSERT_NE(given, std::string::npos);
  text.insert(given + 4, "#");
  const size_t variant = text.find("    #default-server check check-send-proxy");
  ASSERT_NE(variant, std::string::npos);
  const std::string line = text.substr(variant + 5, text.find('\n', variant) - variant - 5);
  // Where the other one was: it holds for the servers that follow.
  text.insert(given, "    " + line + "\n");
  const std::string path = directory_ / "haproxy.cfg";
  std::ofstream(path) << text;
  ChildProcess check(haproxy, {"-c", "-f", path});
  EXPECT_EQ(check.Wait(), 0) << check.output() << check.error();
}

TEST_F(PackagingTest, KubernetesWaitsLongerThanTheServerDrains) {
  const std::string text = ReadFile("kubernetes.yaml");
  EXPECT_GT(SecondsAfter(text, "terminationGracePeriodSeconds: "),
            SecondsAfter(text, "--drain-delay=") + SecondsAfter(text, "--drain-timeout="));
}

}  // namespace
}  // namespace quintet
