// Reloads by SIGHUP under load: new workers take over from old ones, and no client notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/apps/operations_fixture.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kWorkers = 2;
constexpr char kReloaded[] = "hello: reloaded";
constexpr char kOldEnded[] = "hello: the old workers have ended";

class ReloadTest : public OperationsTest {
 protected:
  static int Reloads() { return Scaled(50); }
  // Promise 13: so many connections are made meanwhile.
  static uint64_t Connects() { return static_cast<uint64_t>(Scaled(10'000)); }
};

INSTANTIATE_TEST_SUITE_P(Operations, ReloadTest,
                         ::testing::ValuesIn(EveryOperation({BackendKind::kEpollEt,
                                                             BackendKind::kIoUring})),
                         OperationName);

TEST_P(ReloadTest, LosesNothing) {
  if (!Start(kWorkers, {"--drain-timeout", "60s"})) return;
  const std::set<pid_t> first_workers = Workers();
  // Kept connections, and some that are always being made.
  HttpLoad load(address(), {.connections = kConnections, .reconnecting = 8});
  ASSERT_TRUE(load.WaitForRequests(1000));
  int reloads = 0;
  while (reloads < Reloads() || load.report().connects < Connects()) {
    hello().Signal(SIGHUP);
    ASSERT_NE(hello().WaitForLine(kReloaded), "") << "after " << reloads << " reloads";
    ASSERT_TRUE(load.WaitForRequests(Random(1, 4 * kConnections)))
        << "after " << reloads << " reloads";
    ++reloads;
  }
  // Every connection that was there has been told to go.
  EXPECT_NE(hello().WaitForLine(kOldEnded), "");
  const HttpLoad::Report report = load.Stop();
  std::cout << reloads << " reloads: " << report.ToString() << "\n";
  EXPECT_TRUE(report.clean()) << report.ToString();
  EXPECT_EQ(report.answered, report.requests);
  EXPECT_GE(report.clean_closes, kConnections - 8);
  if (GetParam().processes()) {
    for (const pid_t worker : Workers()) {
      EXPECT_FALSE(first_workers.contains(worker)) << worker << " was not replaced";
    }
    EXPECT_TRUE(Eventually([&] { return Workers().size() == size_t{kWorkers}; }));
  }
  ExpectCleanEnd();
}

// What a configuration says, and how a bad one is refused.
class ReloadConfigTest : public OperationsTest {
 protected:
  std::string file() const { return directory_ / "hello.toml"; }
  void Write(const std::string& text) const { WriteFile(file(), text); }
  void WriteName(const std::string& server_name) const {
    Write(absl::StrCat("[http]\nserver_name = \"", server_name, "\"\n"));
  }
  // A blocking client; no descriptor where nobody listens.
  static Fd ConnectTo(const Address& address) {
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    SetTimeouts(fd.get(), kPeerTimeout);
    if (!testing::Connect(fd.get(), address.data(), address.size())) fd.Reset();
    return fd;
  }
  // What a new connection is answered.
  std::string Reply() {
    const Fd client = Connect();
    return Ask(client, "Connection: close\r\n");
  }

 private:
  const ScratchDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Operations, ReloadConfigTest,
                         ::testing::ValuesIn(EveryWorkerKind("reuseport", {BackendKind::kEpollEt})),
                         OperationName);

TEST_P(ReloadConfigTest, TakesTheNewOneAndRefusesABadOne) {
  WriteName("first");
  if (!Start(kWorkers, {"--config", file(), "--drain-timeout", "60s"})) return;
  EXPECT_THAT(Reply(), HasSubstr("\r\nServer: first\r\n"));
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));

  WriteName("second");
  hello().Signal(SIGHUP);
  ASSERT_NE(hello().WaitForLine(kReloaded), "");
  ASSERT_NE(hello().WaitForLine(kOldEnded), "");
  EXPECT_THAT(Reply(), HasSubstr("\r\nServer: second\r\n"));

  const std::set<pid_t> workers = Workers();
  Write("[http]\nserver_nam = \"third\"\n");
  hello().Signal(SIGHUP);
  EXPECT_THAT(hello().WaitForLine("hello: reload refused: "), HasSubstr("server_nam"));
  EXPECT_THAT(Reply(), HasSubstr("\r\nServer: second\r\n"));
  EXPECT_EQ(Workers(), workers);

  // And it can be put right.
  WriteName("fourth");
  hello().Signal(SIGHUP);
  ASSERT_NE(hello().WaitForLine(kReloaded), "");
  ASSERT_NE(hello().WaitForLine(kOldEnded), "");
  EXPECT_THAT(Reply(), HasSubstr("\r\nServer: fourth\r\n"));
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  ExpectCleanEnd();
}

// What concerns the listening sockets, changed under load: nobody at the address that stays
// notices, and nobody at the other one, who waits there when it goes, is lost.
TEST_P(ReloadConfigTest, ChangesTheListeningSockets) {
  const std::string log_file = file() + ".log";
  std::string addresses = "\"127.0.0.1:0\", \"127.0.0.2:0\"";
  const auto configure = [&](const char* sockets, const char* more = "") {
    Write(absl::StrCat("[listen]\naddresses = [", addresses, "]\n", sockets, more));
  };
  configure("");
  if (!Launch({"--config", file(), "--backend", std::string(BackendName(GetParam().backend)),
               "--worker-kind", GetParam().worker_kind, "--shards", "2", "--pin=false",
               "--drain-timeout", "60s"})) {
    return;
  }
  ASSERT_EQ(hello().addresses().size(), 2U);
  const Address stays = hello().addresses()[0];
  const Address other = hello().addresses()[1];
  const auto one = absl::StrCat("\"", stays.ToString(), "\"");
  const auto both = absl::StrCat(one, ", \"", other.ToString(), "\"");
  HttpLoad load(stays, {.connections = kConnections, .reconnecting = 16});
  const auto reload = [&] {
    ASSERT_TRUE(load.WaitForRequests(500));
    hello().Signal(SIGHUP);
    ASSERT_NE(hello().WaitForLine(kReloaded), "");
    ASSERT_TRUE(load.WaitForRequests(500));
  };
  for (int round = 0; round < Scaled(5); ++round) {
    HttpLoad leaving(other, {.connections = 16, .reconnecting = 8});
    ASSERT_TRUE(leaving.WaitForRequests(100));
    // Its clients come to an end before they would be refused; those who wait do not.
    static_cast<void>(leaving.Stop());
    std::vector<Fd> waiting;
    for (int i = 0; i < 100; ++i) waiting.push_back(ConnectTo(other));
    addresses = one;
    configure("steer = \"cpu\"\nbacklog = 64\n");
    reload();
    for (const Fd& client : waiting) EXPECT_NE(Ask(client, "Connection: close\r\n"), "");
    EXPECT_TRUE(Eventually([&] { return !ConnectTo(other); }));
    addresses = both;
    configure("steer = \"none\"\nbacklog = 2048\n");
    reload();
  }
  configure("", absl::StrCat("[process]\nlog_file = \"", log_file, "\"\n").c_str());
  reload();
  // The end of that reload is the last that the old log has.
  hello().Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return ReadFile(log_file).find(kReloaded) != std::string::npos; }));
  ASSERT_TRUE(load.WaitForRequests(500));
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  EXPECT_EQ(report.answered, report.requests);
  ExpectCleanEnd();
}

TEST_P(ReloadConfigTest, SighupsInAHurryLoseNothing) {
  if (!Start(kWorkers, {"--drain-timeout", "60s"})) return;
  HttpLoad load(address());
  ASSERT_TRUE(load.WaitForRequests(100));
  for (int i = 0; i < 20; ++i) hello().Signal(SIGHUP);
  ASSERT_NE(hello().WaitForLine(kReloaded), "");
  ASSERT_TRUE(load.WaitForRequests(1000));
  const HttpLoad::Report report = load.Stop();
  EXPECT_TRUE(report.clean()) << report.ToString();
  EXPECT_NE(Reply(), "");
  ExpectCleanEnd();
}

TEST_P(ReloadConfigTest, SigtermDuringAReloadEndsTheProgram) {
  if (!Start(kWorkers)) return;
  hello().Signal(SIGHUP);
  ExpectCleanEnd();
}

}  // namespace
}  // namespace quintet::testing
