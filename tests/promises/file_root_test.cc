// Promise 33, second half: no path leaves the root, whatever it says and whoever changes the tree
// meanwhile.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/files/frame.h"
#include "net/files/messages.h"
#include "tests/promises/files_fixture.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/files_peer.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using files::ErrorCode;
using files::FrameType;
using ::testing::AnyOf;
using ::testing::ElementsAre;

constexpr char kInside[] = "inside";
// Between two swaps: as many as a request takes, more or less.
constexpr int kYields = 50;
constexpr char kOutside[] = "outside, and nobody's business";

// The root is a directory beside others, which a path could lead to.
class FileRootTest : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directory(Local("directory"));
    WriteFile(Local("secret"), kOutside);
    WriteFile(Local("directory/secret"), kOutside);
    std::filesystem::create_directory(Served("directory"));
    WriteFile(Served("directory/file"), kInside);
    ASSERT_TRUE(StartServer());
  }

  void ExpectOutsideUntouched() const {
    EXPECT_THAT(NamesIn(local()), ElementsAre("directory", "secret"));
    EXPECT_THAT(NamesIn(Local("directory")), ElementsAre("secret"));
    EXPECT_EQ(ReadFile(Local("secret")), kOutside);
    EXPECT_EQ(ReadFile(Local("directory/secret")), kOutside);
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, FileRootTest, AllBackends(), KindName);

TEST_P(FileRootTest, BadNamesAreRefusedByEveryRequest) {
  if (IsSkipped()) return;
  const std::string outside = local();
  const std::string up = "../" + outside.substr(outside.rfind('/') + 1) + "/secret";
  std::string deep = "d";
  while (deep.size() <= 4096) deep += "/d";
  const std::vector<std::string> paths = {
      up,
      "..",
      ".",
      "directory/../" + up,
      "directory/./file",
      outside + "/secret",
      "/directory/file",
      "//etc/passwd",
      "directory//file",
      "directory/file/",
      "directory/",
      ".hidden",
      "directory/.hidden",
      std::string("directory/file\0x", 16),
      std::string("\0", 1),
      std::string(256, 'n'),
      "directory/" + std::string(256, 'n'),
      deep,
  };
  FilesPeer peer(address());
  for (const std::string& path : paths) {
    SCOPED_TRACE(path.substr(0, 80));
    for (const FrameType type : {FrameType::kStat, FrameType::kDelete, FrameType::kList}) {
      EXPECT_EQ(peer.Ask(type, 0, path).error, ErrorCode::kBadName) << static_cast<int>(type);
    }
    EXPECT_EQ(peer.Get(path).error, ErrorCode::kBadName);
    EXPECT_EQ(peer.Put(path, "new").error, ErrorCode::kBadName);
    EXPECT_EQ(peer.Rename(path, "to").error, ErrorCode::kBadName);
    EXPECT_EQ(peer.Rename("directory/file", path).error, ErrorCode::kBadName);
  }
  EXPECT_EQ(peer.Get("").error, ErrorCode::kBadName);
  EXPECT_EQ(peer.Get("directory/file").data, kInside) << "the connection is as well as before";
  EXPECT_THAT(NamesIn(served()), ElementsAre("directory"));
  EXPECT_THAT(NamesIn(Served("directory")), ElementsAre("file"));
  ExpectOutsideUntouched();
}

TEST_P(FileRootTest, TheLongestNameIsServed) {
  if (IsSkipped()) return;
  FilesPeer peer(address());
  // Bytes that are no text are names like others.
  for (const std::string& name : {std::string(255, 'n'), std::string("\xff\xfe\n\x1b[2J")}) {
    EXPECT_TRUE(peer.Put(name, "content").ok());
    EXPECT_EQ(peer.Get(name).data, "content");
    EXPECT_EQ(peer.List("").entries.size(), 1U);
    EXPECT_TRUE(peer.Ask(FrameType::kDelete, 0, name).ok());
  }
}

TEST_P(FileRootTest, LinksThatLeaveTheRootLeadNowhere) {
  if (IsSkipped()) return;
  std::filesystem::create_symlink(local() + "/secret", Served("absolute"));
  std::filesystem::create_symlink(local() + "/directory", Served("elsewhere"));
  std::filesystem::create_symlink("../" + local().substr(local().rfind('/') + 1),
                                  Served("relative"));
  std::filesystem::create_symlink("/proc/self/root", Served("magic"));
  std::filesystem::create_symlink("directory", Served("within"));
  FilesPeer peer(address());
  for (const std::string path : {"absolute", "elsewhere/secret", "relative/secret",
                                 "magic/etc/passwd", "within/../../secret"}) {
    SCOPED_TRACE(path);
    const auto refused = AnyOf(ErrorCode::kForbidden, ErrorCode::kBadName);
    const FilesPeer::Answer answer = peer.Get(path);
    ASSERT_TRUE(answer.error.has_value());
    EXPECT_THAT(*answer.error, refused);
    EXPECT_EQ(answer.data, "");
    EXPECT_FALSE(answer.info.has_value());
    EXPECT_FALSE(peer.Ask(FrameType::kStat, 0, path).ok());
  }
  for (const std::string directory : {"elsewhere", "relative", "magic/tmp"}) {
    SCOPED_TRACE(directory);
    EXPECT_EQ(peer.List(directory).error, ErrorCode::kForbidden);
    EXPECT_EQ(peer.Put(directory + "/new", "new").error, ErrorCode::kForbidden);
    EXPECT_EQ(peer.Ask(FrameType::kDelete, 0, directory + "/secret").error, ErrorCode::kForbidden);
    EXPECT_EQ(peer.Rename(directory + "/secret", "stolen").error, ErrorCode::kForbidden);
    EXPECT_EQ(peer.Rename("directory/file", directory + "/new").error, ErrorCode::kForbidden);
  }
  // A put takes the place of the link, and does not go through it.
  EXPECT_TRUE(peer.Put("absolute", kInside).ok());
  EXPECT_EQ(peer.Get("absolute").data, kInside);
  EXPECT_EQ(peer.Get("within/file").data, kInside);
  ExpectOutsideUntouched();
}

// A directory and a link that leaves the root change places all the time.
TEST_P(FileRootTest, NobodyWinsTheRaceOfALinkThatIsSwapped) {
  if (IsSkipped()) return;
  WriteFile(Served("directory/secret"), kInside);
  std::filesystem::create_symlink(local() + "/directory", Served("link"));
  std::atomic<bool> stop = false;
  std::thread swapper([&] {
    while (!stop) {
      EXPECT_EQ(::renameat2(AT_FDCWD, Served("directory").c_str(), AT_FDCWD, Served("link").c_str(),
                            RENAME_EXCHANGE),
                0);
      // Some requests meet one state alone, others a change.
      for (int i = 0; i < kYields && !stop; ++i) std::this_thread::yield();
    }
  });
  FilesPeer peer(address());
  int inside = 0;
  int refused = 0;
  const int rounds = Scaled(500);
  // Until both states were met.
  for (int i = 0; i < 20 * rounds && !HasFailure(); ++i) {
    if (i >= rounds && inside >= rounds / 20 && refused >= rounds / 20) break;
    const FilesPeer::Answer got = peer.Get("directory/secret");
    EXPECT_TRUE(got.ended);
    EXPECT_EQ(got.data, got.ok() ? kInside : "");
    if (got.ok()) ++inside;
    if (got.error == ErrorCode::kForbidden) ++refused;
    if (i % 4 != 0) continue;
    const std::string name = "directory/new" + std::to_string(i % 3);
    EXPECT_TRUE(peer.Put(name, kInside).ended);
    EXPECT_TRUE(peer.List("directory").ended);
    EXPECT_TRUE(peer.Rename(name, "directory/other").ended);
    EXPECT_TRUE(peer.Ask(FrameType::kDelete, 0, "directory/other").ended);
  }
  stop = true;
  swapper.join();
  std::cout << inside << " times inside, " << refused << " times refused\n";
  EXPECT_GE(inside, rounds / 20);
  EXPECT_GE(refused, rounds / 20);
  ExpectOutsideUntouched();
}

TEST_P(FileRootTest, OnlyRegularFilesAreListedAndServed) {
  if (IsSkipped()) return;
  WriteFile(Served("file"), kInside);
  WriteFile(Served(".hidden"), kInside);
  ASSERT_EQ(::mkfifo(Served("fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", Served("zero"));
  FilesPeer peer(address());
  const FilesPeer::Answer listed = peer.List("");
  ASSERT_EQ(listed.entries.size(), 1U);
  EXPECT_EQ(listed.entries[0].name, "file");
  // It does not wait for somebody to write.
  EXPECT_EQ(peer.Get("fifo").error, ErrorCode::kNotAFile);
  EXPECT_EQ(peer.Put("fifo", "x").error, ErrorCode::kNotAFile);
  EXPECT_EQ(peer.Get("directory").error, ErrorCode::kNotAFile);
  EXPECT_EQ(peer.Put("directory", "x").error, ErrorCode::kExists);
  EXPECT_EQ(peer.Get("zero").error, ErrorCode::kForbidden);
  EXPECT_EQ(peer.Get("nothing").error, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace quintet::testing
