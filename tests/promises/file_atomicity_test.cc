// Promise 33, first half: a put is atomic and a get is exact, wherever client or server die.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/promises/files_fixture.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/files_peer.h"
#include "tests/support/peers.h"
#include "tests/support/sanitizers.h"
#include "tests/support/tcp_relay.h"

namespace quintet::testing {
namespace {

using std::chrono::steady_clock;

// Of all backends together. Done when 1,000 pass: QUINTET_KILLS=1000.
constexpr uint64_t kKills = 60;
// More than frames and messages around the content of a file of the largest size take.
constexpr uint64_t kFrameBytes = 400;
constexpr uint64_t kMaxBytes = 5 << 20;
constexpr char kName[] = "file";

// What a script sees of the client (apps/files/exit_code.h).
constexpr int kConnectionExit = 4;
constexpr int kBusyExit = 7;
constexpr int kKilled = 128 + SIGKILL;

// SIGKILL, and waits until the process is dead, without taking its end from who waits for it.
void KillNow(pid_t pid) {
  ::kill(pid, SIGKILL);
  siginfo_t info = {};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
}

class FileAtomicityTest : public FilesTest {
 protected:
  // One file on its way, from the first attempt to the last.
  struct Transfer {
    bool put = false;
    std::string content = {};
    std::string former = {};  // what stood under the name before
    bool had_former = false;
  };
  struct Cut {
    bool kill_client = false;
    TcpRelay::Direction direction = TcpRelay::kToServer;
    uint64_t bytes = 1;
  };
  struct Attempt {
    FilesTest::ClientResult client = {};
    bool killed = false;     // the point was reached
    uint64_t forwarded = 0;  // bytes of the direction of the content
  };

  // Of a random size, in directories where nothing else is.
  Transfer MakeTransfer(bool put);
  Cut RandomCut(const Transfer& transfer, bool kill_client);

  const std::string& source(const Transfer& transfer) const {
    return transfer.put ? local() : served();
  }
  const std::string& destination(const Transfer& transfer) const {
    return transfer.put ? served() : local();
  }
  // Empties the directories, and writes what is to be transferred.
  void Lay(const Transfer& transfer);
  std::vector<std::string> Arguments(const Transfer& transfer, const std::string& server,
                                     bool resume) const;
  // Without a cut: to its end. Afterwards there is a server, a new one where it was killed.
  Attempt Run(const Transfer& transfer, bool resume, const Cut* cut);
  // Once more, until it is through.
  Attempt RunToEnd(const Transfer& transfer);
  // Whole or as it was, and nothing else to be seen. `done`: whole.
  void Check(const Transfer& transfer, bool done);
  uint64_t Random(uint64_t at_least, uint64_t at_most) {
    return std::uniform_int_distribution<uint64_t>(at_least, at_most)(random_);
  }

 private:
  std::mt19937_64 random_{PrintedSeed()};
};
INSTANTIATE_TEST_SUITE_P(Backends, FileAtomicityTest, AllBackends(), KindName);

FileAtomicityTest::Transfer FileAtomicityTest::MakeTransfer(bool put) {
  Transfer transfer{.put = put};
  // Small ones are one frame, large ones are many.
  const uint64_t size = Random(0, 3) == 0 ? Random(0, 4096) : Random(64 << 10, kMaxBytes);
  const auto seed = static_cast<uint32_t>(Random(1, UINT32_MAX / 2));
  transfer.content = PatternBytes(size, seed);
  transfer.had_former = Random(0, 1) == 0;
  if (transfer.had_former) transfer.former = PatternBytes(Random(0, 100'000), seed + 1);
  Lay(transfer);
  return transfer;
}

void FileAtomicityTest::Lay(const Transfer& transfer) {
  for (const std::string& directory : {served(), local()}) {
    for (const std::string& name : NamesIn(directory)) {
      std::filesystem::remove_all(directory + "/" + name);
    }
  }
  WriteFile(source(transfer) + "/" + kName, transfer.content);
  if (transfer.had_former) WriteFile(destination(transfer) + "/" + kName, transfer.former);
}

FileAtomicityTest::Cut FileAtomicityTest::RandomCut(const Transfer& transfer, bool kill_client) {
  Cut cut{.kill_client = kill_client};
  const TcpRelay::Direction forth = transfer.put ? TcpRelay::kToServer : TcpRelay::kToClient;
  const uint64_t all = transfer.content.size() + kFrameBytes;
  switch (Random(0, 3)) {
    case 0:  // where the file is finished and gets its name
      cut.direction = forth;
      cut.bytes = Random(transfer.content.size() + 1, all);
      break;
    case 1:  // in the answers, or in the requests
      cut.direction = transfer.put ? TcpRelay::kToClient : TcpRelay::kToServer;
      cut.bytes = Random(1, kFrameBytes / 2);
      break;
    default:
      cut.direction = forth;
      cut.bytes = Random(1, all);
  }
  return cut;
}

std::vector<std::string> FileAtomicityTest::Arguments(const Transfer& transfer,
                                                      const std::string& server,
                                                      bool resume) const {
  std::vector<std::string> arguments = {transfer.put ? "put" : "get", server};
  if (transfer.put) {
    arguments.insert(arguments.end(), {Local(kName), kName});
  } else {
    arguments.insert(arguments.end(), {kName, Local(kName)});
  }
  if (resume) arguments.emplace_back("--resume");
  return arguments;
}

FileAtomicityTest::Attempt FileAtomicityTest::Run(const Transfer& transfer, bool resume,
                                                  const Cut* cut) {
  TcpRelay::Point point;
  std::atomic<pid_t> victim = 0;
  if (cut != nullptr) {
    point = {.direction = cut->direction, .bytes = cut->bytes, .action = [&victim] {
               // Bytes came, so the client runs; its number is told at any moment.
               while (victim == 0) std::this_thread::yield();
               KillNow(victim);
               return false;
             }};
  }
  TcpRelay relay(address(), point);
  const std::unique_ptr<ChildProcess> client =
      StartClient(Arguments(transfer, relay.address(), resume));
  if (cut != nullptr) victim = cut->kill_client ? client->pid() : server().pid();
  Attempt attempt;
  attempt.client = WaitForClient(*client);
  attempt.killed = relay.reached();
  attempt.forwarded = relay.forwarded(transfer.put ? TcpRelay::kToServer : TcpRelay::kToClient);
  if (!attempt.killed || cut->kill_client) return attempt;
  ForgetServer();
  EXPECT_TRUE(StartServer());
  return attempt;
}

FileAtomicityTest::Attempt FileAtomicityTest::RunToEnd(const Transfer& transfer) {
  const auto deadline = steady_clock::now() + FilesPeer::kTimeout;
  Attempt attempt;
  // The server may not yet have seen that the client before is dead, and says that somebody else
  // makes this upload.
  do attempt = Run(transfer, true, nullptr);
  while (attempt.client.exit_code == kBusyExit && steady_clock::now() < deadline);
  EXPECT_EQ(attempt.client.exit_code, 0) << attempt.client.error;
  return attempt;
}

void FileAtomicityTest::Check(const Transfer& transfer, bool done) {
  const std::set<std::string> visible = VisibleNamesIn(destination(transfer));
  EXPECT_THAT(visible, ::testing::IsSubsetOf({kName}));
  EXPECT_TRUE(!visible.empty() || (!done && !transfer.had_former)) << "the file is missing";
  if (!visible.empty()) {
    const std::string found = ReadFile(destination(transfer) + "/" + kName);
    const bool former = !done && transfer.had_former && found == transfer.former;
    EXPECT_TRUE(found == transfer.content || former)
        << found.size() << " bytes are neither the new " << transfer.content.size()
        << " nor the former " << transfer.former.size();
  }
  std::set<std::string> listed;
  for (const files::Entry& entry : FilesPeer(address()).List("").entries) listed.insert(entry.name);
  EXPECT_EQ(listed, VisibleNamesIn(served()));
  EXPECT_EQ(ReadFile(source(transfer) + "/" + kName), transfer.content);
  if (done) {
    EXPECT_THAT(NamesIn(destination(transfer)), ::testing::ElementsAre(kName))
        << "something is left of the attempts";
  }
}

TEST_P(FileAtomicityTest, AFileIsWholeOrAsItWasWhereverSomebodyIsKilled) {
  if (IsSkipped()) return;
  ASSERT_TRUE(StartServer());
  const uint64_t all = CountFrom("QUINTET_KILLS", Scaled(static_cast<int>(kKills)));
  const uint64_t kills = std::max<uint64_t>(all / std::size(kRealBackends), 4);
  uint64_t done = 0;
  uint64_t rounds = 0;
  uint64_t within = 0;  // behind the first byte of the content and before the last
  while (done < kills && !HasFailure()) {
    const Transfer transfer = MakeTransfer(rounds++ % 2 == 0);
    SCOPED_TRACE(::testing::Message()
                 << (transfer.put ? "put" : "get") << " of " << transfer.content.size()
                 << " bytes after " << done << " kills");
    bool through = false;
    for (uint64_t left = Random(1, 3); left > 0 && !through; --left) {
      const Cut cut = RandomCut(transfer, done % 2 == 0);
      SCOPED_TRACE(::testing::Message()
                   << "the " << (cut.kill_client ? "client" : "server") << " is killed at byte "
                   << cut.bytes << " to the "
                   << (cut.direction == TcpRelay::kToServer ? "server" : "client"));
      const Attempt attempt = Run(transfer, left % 2 == 0, &cut);
      if (!attempt.killed) {
        // It was through before that byte, or somebody else seemed to make the same upload.
        EXPECT_THAT(attempt.client.exit_code, ::testing::AnyOf(0, kBusyExit))
            << attempt.client.error;
      } else if (cut.kill_client) {
        EXPECT_EQ(attempt.client.exit_code, kKilled) << attempt.client.error;
      } else {
        EXPECT_THAT(attempt.client.exit_code, ::testing::AnyOf(0, kConnectionExit))
            << attempt.client.error;
      }
      through = attempt.client.exit_code == 0;
      Check(transfer, through);
      if (!attempt.killed) continue;
      ++done;
      const bool began = attempt.forwarded > kFrameBytes;
      within += began && attempt.forwarded < transfer.content.size() ? 1 : 0;
    }
    RunToEnd(transfer);
    Check(transfer, true);
  }
  std::cout << done << " kills, " << within << " of them within the content, " << rounds
            << " files\n";
}

TEST_P(FileAtomicityTest, ResumeSendsWhatIsMissing) {
  if (IsSkipped()) return;
  ASSERT_TRUE(StartServer());
  constexpr uint64_t kBytes = 48 << 20;
  // What is under way when somebody dies: most of it in the buffers of the sockets, which grow to
  // some megabytes (tcp_rmem, tcp_wmem in tcp(7)), where both programs and the relay have one each.
  constexpr uint64_t kUnderWay = 24 << 20;
  for (const bool put : {true, false}) {
    for (const bool kill_client : {true, false}) {
      SCOPED_TRACE(::testing::Message() << (put ? "put" : "get") << ", the "
                                        << (kill_client ? "client" : "server") << " is killed");
      const Transfer transfer{.put = put, .content = PatternBytes(kBytes, put ? 1 : 2)};
      Lay(transfer);
      const Cut cut{.kill_client = kill_client,
                    .direction = put ? TcpRelay::kToServer : TcpRelay::kToClient,
                    .bytes = kBytes - 1};
      EXPECT_TRUE(Run(transfer, false, &cut).killed);
      Check(transfer, false);
      const Attempt attempt = RunToEnd(transfer);
      Check(transfer, true);
      EXPECT_LT(attempt.forwarded, kUnderWay);
      EXPECT_GT(attempt.forwarded, 0U);
    }
  }
}

// What is there is of another file: it must not become a part of this one.
TEST_P(FileAtomicityTest, ResumeOfAnotherContentStartsAnew) {
  if (IsSkipped()) return;
  ASSERT_TRUE(StartServer());
  for (const bool put : {true, false}) {
    SCOPED_TRACE(put ? "put" : "get");
    Transfer transfer{.put = put, .content = PatternBytes(4 << 20, 3)};
    Lay(transfer);
    const Cut cut{.kill_client = true,
                  .direction = put ? TcpRelay::kToServer : TcpRelay::kToClient,
                  .bytes = 3 << 20};
    EXPECT_TRUE(Run(transfer, false, &cut).killed);
    Check(transfer, false);
    transfer.content = PatternBytes(4 << 20, 4);
    WriteFile(source(transfer) + "/" + kName, transfer.content);
    RunToEnd(transfer);
    EXPECT_TRUE(ReadFile(destination(transfer) + "/" + kName) == transfer.content);
    EXPECT_THAT(VisibleNamesIn(destination(transfer)), ::testing::ElementsAre(kName));
  }
}

// The file changes when a part of it is with the client: what the client then has under the name is
// one content, whole.
TEST_P(FileAtomicityTest, AFileThatShrinksDuringGetDoesNotAppear) {
  if (IsSkipped()) return;
  ASSERT_TRUE(StartServer());
  // More than all buffers on the way hold, so that the server still reads when it happens.
  const Transfer transfer{
      .content = PatternBytes(64 << 20, 5), .former = "before", .had_former = true};
  Lay(transfer);
  TcpRelay relay(address(), {.direction = TcpRelay::kToClient, .bytes = 1 << 20, .action = [this] {
                               std::filesystem::resize_file(Served(kName), 2 << 20);
                               return true;
                             }});
  const ClientResult client = RunClient(Arguments(transfer, relay.address(), false));
  EXPECT_TRUE(relay.reached());
  EXPECT_EQ(client.exit_code, kBusyExit) << client.error;
  EXPECT_EQ(ReadFile(Local(kName)), "before");
  EXPECT_THAT(VisibleNamesIn(local()), ::testing::ElementsAre(kName));
  // And the rest of them is undisturbed.
  EXPECT_EQ(RunClient(Arguments(transfer, server_name(), true)).exit_code, 0);
  EXPECT_EQ(ReadFile(Local(kName)), transfer.content.substr(0, 2 << 20));
}

TEST_P(FileAtomicityTest, AFileThatIsReplacedOrRemovedDuringGetComesWhole) {
  if (IsSkipped()) return;
  ASSERT_TRUE(StartServer());
  const Transfer transfer{.content = PatternBytes(64 << 20, 6)};
  for (const bool replaced : {true, false}) {
    SCOPED_TRACE(replaced ? "replaced" : "removed");
    Lay(transfer);
    WriteFile(Served(".new"), "new");
    TcpRelay relay(address(),
                   {.direction = TcpRelay::kToClient, .bytes = 1 << 20, .action = [this, replaced] {
                      if (replaced) {
                        std::filesystem::rename(Served(".new"), Served(kName));
                      } else {
                        std::filesystem::remove(Served(kName));
                      }
                      return true;
                    }});
    const ClientResult client = RunClient(Arguments(transfer, relay.address(), false));
    EXPECT_TRUE(relay.reached());
    EXPECT_EQ(client.exit_code, 0) << client.error;
    EXPECT_TRUE(ReadFile(Local(kName)) == transfer.content);
  }
}

}  // namespace
}  // namespace quintet::testing
