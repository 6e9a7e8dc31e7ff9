#include "net/files/partial_file.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "net/files/tree_walk.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using files::FileStore;
using files::PartialFile;
using files::PartialName;

class PartialFileTest : public ::testing::Test {
 protected:
  static PartialFile::Target Target(bool resume = true) {
    return {.path = "a", .key = 7, .resume = resume, .size = 100};
  }
  void SetAge(const std::string& file, std::chrono::seconds age) const {
    timespec now = {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= age.count();
    const timespec times[2] = {now, now};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  }

  const ScratchDirectory scratch;
  const std::unique_ptr<const FileStore> store = *FileStore::Open(scratch.path());
  const std::string name = PartialName("a", 7);
  const std::string path = scratch / name;
};

TEST(PartialNameTest, IsOneNameForOneUpload) {
  const std::string long_name(255, 'n');
  EXPECT_EQ(PartialName("a", 1), PartialName("a", 1));
  EXPECT_NE(PartialName("a", 1), PartialName("a", 2));
  EXPECT_NE(PartialName("a", 1), PartialName("b", 1));
  EXPECT_NE(PartialName("a", 0), PartialName("a", 0));
  for (const std::string& name : {PartialName(long_name, 1), PartialName(long_name, 0)}) {
    EXPECT_LE(name.size(), 255U);
    EXPECT_TRUE(files::IsPartialName(name)) << name;
  }
  EXPECT_FALSE(files::IsPartialName(".quintet-.part"));
  EXPECT_FALSE(files::IsPartialName("a"));
  // It stays what it is: uploads are gone on with across versions.
  EXPECT_EQ(PartialName("a", 1).size(), 46U);
}

TEST_F(PartialFileTest, GoesOnOrStartsAnew) {
  WriteFile(path, "12345");
  PartialFile file;
  ASSERT_EQ(file.Open(*store, Target()), 0);
  EXPECT_EQ(file.found_bytes(), 5U);
  EXPECT_EQ(file.dropped_bytes(), 0U);
  file.Close();
  PartialFile anew;
  ASSERT_EQ(anew.Open(*store, Target(/*resume=*/false)), 0);
  EXPECT_EQ(anew.found_bytes(), 0U);
  EXPECT_EQ(anew.dropped_bytes(), 5U);
  EXPECT_EQ(std::filesystem::file_size(path), 0U);
  anew.Close();
}

TEST_F(PartialFileTest, KeepsOrDiscards) {
  PartialFile file;
  ASSERT_EQ(file.Open(*store, Target()), 0);
  ASSERT_EQ(::write(file.fd(), "12345", 5), 5);
  EXPECT_EQ(file.Keep(3), 0);
  EXPECT_FALSE(file.open());
  EXPECT_EQ(ReadFile(path), "123");
  ASSERT_EQ(file.Open(*store, Target()), 0);
  EXPECT_EQ(file.Discard(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PartialFileTest, OneAtATime) {
  PartialFile first;
  PartialFile second;
  ASSERT_EQ(first.Open(*store, Target()), 0);
  EXPECT_EQ(second.Open(*store, Target()), -EALREADY);
  EXPECT_FALSE(second.open());
  first.Close();
  EXPECT_EQ(second.Open(*store, Target()), 0);
}

TEST_F(PartialFileTest, TheLockOfAProcessThatDiesIsGone) {
  ForkedProcess child([this] {
    PartialFile file;
    const bool held = file.Open(*store, Target()) == 0 && ::write(file.fd(), "12", 2) == 2;
    if (!held) return 1;
    ::raise(SIGKILL);
    return 2;
  });
  EXPECT_EQ(child.Wait(), 128 + SIGKILL);
  PartialFile file;
  ASSERT_EQ(file.Open(*store, Target()), 0);
  EXPECT_EQ(file.found_bytes(), 2U);
}

// The name is a link that somebody has put there.
TEST_F(PartialFileTest, FollowsNoLinks) {
  WriteFile(scratch / "other", "other");
  std::filesystem::create_symlink("other", path);
  PartialFile file;
  EXPECT_EQ(file.Open(*store, Target()), -ELOOP);
  EXPECT_EQ(ReadFile(scratch / "other"), "other");
}

// ---- The sweep ----

TEST_F(PartialFileTest, OldOnesAreSwept) {
  std::filesystem::create_directories(scratch / "d/e");
  const std::string deep = scratch / "d/e/" + PartialName("b", 1);
  WriteFile(path, "12345");
  WriteFile(deep, "123");
  WriteFile(scratch / "d/old", "1");
  WriteFile(scratch / "d/.quintet-notes.part", "1");
  SetAge(path, 25h);
  SetAge(deep, 23h);
  SetAge(scratch / "d/old", 1000h);
  SetAge(scratch / "d/.quintet-notes.part", 1000h);
  files::TreeWalk walk = files::WalkTree(*store, 24h);
  EXPECT_EQ(walk.removed, 1U);
  EXPECT_EQ(walk.bytes, 5U);
  EXPECT_FALSE(std::filesystem::exists(path));
  walk = files::WalkTree(*store, 22h);
  EXPECT_EQ(walk.removed, 1U);
  EXPECT_EQ(walk.bytes, 2U);
  EXPECT_EQ(files::WalkTree(*store, 0h).removed, 0U);
}

TEST_F(PartialFileTest, OnesThatGoOnAreNotSwept) {
  PartialFile file;
  ASSERT_EQ(file.Open(*store, Target()), 0);
  ASSERT_EQ(::write(file.fd(), "12345", 5), 5);
  SetAge(path, 100h);
  EXPECT_EQ(files::WalkTree(*store, 24h).removed, 0U);
  EXPECT_TRUE(std::filesystem::exists(path));
  file.Close();
  EXPECT_EQ(files::WalkTree(*store, 24h).removed, 1U);
}

TEST_F(PartialFileTest, TheSweepStaysBelowTheRoot) {
  const ScratchDirectory outside;
  const std::string prey = outside / name;
  WriteFile(prey, "12345");
  SetAge(prey, 1000h);
  std::filesystem::create_symlink(outside.path(), scratch / "link");
  std::filesystem::create_symlink(prey, path);
  const files::TreeWalk walk = files::WalkTree(*store, 24h);
  EXPECT_EQ(walk.removed, 0U);
  EXPECT_EQ(walk.bytes, 0U);
  EXPECT_TRUE(std::filesystem::exists(prey));
}

}  // namespace
}  // namespace quintet::testing
