// Issue "a file server": many clients transfer at once, everybody gets every byte, and who only
// lists is not forgotten.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/files/frame.h"
#include "net/files/messages.h"
#include "tests/promises/files_fixture.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/files_peer.h"
#include "tests/support/peers.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using files::FrameType;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kClients = 200;
// Each way, of each client. More than sockets and output hold, so that all are under way at once.
constexpr size_t kBytes = 2 << 20;
// How fast it is stands in the benchmark. This is to fail when somebody is forgotten.
constexpr milliseconds kMaxList{std::chrono::seconds(kThreadSanitizer ? 20 : 5)};

size_t Clients() { return std::max<size_t>(4, kClients / kLoadDivisor); }

// Different ones, made once: two hundred clients on a busy machine are enough.
constexpr size_t kContents = 4;
std::vector<std::string> MakeContents() {
  std::vector<std::string> contents;
  for (uint32_t seed = 1; seed <= kContents; ++seed) {
    contents.push_back(PatternBytes(kBytes, seed));
  }
  return contents;
}

class FileCrowdTest : public FilesTest {
 protected:
  std::vector<milliseconds> ListUntil(const std::atomic<bool>& stop) const;
};
INSTANTIATE_TEST_SUITE_P(Backends, FileCrowdTest, AllBackends(), KindName);

std::vector<milliseconds> FileCrowdTest::ListUntil(const std::atomic<bool>& stop) const {
  FilesPeer peer(address());
  std::vector<milliseconds> times;
  do {
    const auto begin = steady_clock::now();
    const FilesPeer::Answer answer = peer.List("");
    times.push_back(duration_cast<milliseconds>(steady_clock::now() - begin));
    EXPECT_TRUE(answer.ok()) << answer.text;
    EXPECT_GE(answer.entries.size(), 1U);
    // A person who looks again and again, not one more who floods.
    std::this_thread::sleep_for(milliseconds(2));
  } while (!stop && !HasFailure());
  std::sort(times.begin(), times.end());
  return times;
}

TEST_P(FileCrowdTest, EveryByteIsRightAndNobodyIsRefused) {
  if (IsSkipped()) return;
  const size_t clients = Clients();
  const std::vector<std::string> contents = MakeContents();
  for (size_t i = 0; i < kContents; ++i) {
    WriteFile(Served("down" + std::to_string(i)), contents[i]);
  }
  // It is not the disk that is to be seen.
  ASSERT_TRUE(StartServer({"--fsync", "none"}));
  std::atomic<bool> stop = false;
  std::vector<milliseconds> times;
  std::thread lister([&] { times = ListUntil(stop); });

  // Everybody has a get under way, whose first frame is here and whose last cannot have been sent,
  // before anybody reads on.
  std::barrier all_under_way(static_cast<ptrdiff_t>(clients));
  std::atomic<size_t> right_gets = 0;
  std::vector<std::thread> crowd;
  for (size_t i = 0; i < clients; ++i) {
    crowd.emplace_back([&, i] {
      FilesPeer peer(address());
      const std::string& expected = contents[i % kContents];
      const uint32_t request = peer.Send(
          FrameType::kGet, 0,
          files::Encode(files::GetMessage{.path = "down" + std::to_string(i % kContents)}));
      const std::optional<FilesPeer::Frame> info = peer.Receive();
      EXPECT_TRUE(info && info->type == FrameType::kInfo) << "client " << i << " was refused";
      all_under_way.arrive_and_wait();
      const FilesPeer::Answer got = peer.Finish(request);
      EXPECT_TRUE(got.ok()) << "client " << i << ": " << got.text;
      if (got.data == expected) ++right_gets;
      const FilesPeer::Answer put = peer.Put("up" + std::to_string(i), expected);
      EXPECT_TRUE(put.ok()) << "client " << i << ": " << put.text;
    });
  }
  for (std::thread& client : crowd) client.join();
  stop = true;
  lister.join();
  EXPECT_EQ(right_gets, clients);
  for (size_t i = 0; i < clients; ++i) {
    EXPECT_TRUE(ReadFile(Served("up" + std::to_string(i))) == contents[i % kContents]) << i;
  }

  ASSERT_FALSE(times.empty());
  const auto quantile = [&times](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::cout << clients << " clients; " << times.size() << " lists: p50 " << quantile(0.5).count()
            << " ms, p99 " << quantile(0.99).count() << " ms, longest " << times.back().count()
            << " ms\n";
  EXPECT_LT(quantile(0.99), kMaxList);
  StopServer();
}

}  // namespace
}  // namespace quintet::testing
