#include "net/files/file_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "reactor/file_request.h"
#include "tests/support/descriptors.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using files::FileStore;

class FileStoreTest : public DescriptorLeakTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(root);
    auto opened = FileStore::Open(root);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store = *std::move(opened);
  }
  void TearDown() override {
    store.reset();
    DescriptorLeakTest::TearDown();
  }
  int64_t Stat(const std::string& path) const {
    files::Entry entry;
    return store->Stat(path, entry);
  }

  const ScratchDirectory scratch;
  const std::string root = scratch / "root";
  std::unique_ptr<const FileStore> store;
};

TEST_F(FileStoreTest, RootsThatCannotBe) {
  EXPECT_EQ(FileStore::Open(scratch / "missing").status().code(), absl::StatusCode::kNotFound);
  WriteFile(scratch / "file", "");
  EXPECT_FALSE(FileStore::Open(scratch / "file").ok());
}

TEST_F(FileStoreTest, SplitsPaths) {
  const files::SplitPath deep("a/b/c");
  EXPECT_EQ(deep.directory, "a/b");
  EXPECT_EQ(deep.name, "c");
  const files::SplitPath flat("c");
  EXPECT_EQ(flat.directory, "");
  EXPECT_EQ(flat.name, "c");
}

// The root is where it was opened, whatever its name is then.
TEST_F(FileStoreTest, TheRootMayBeRenamed) {
  WriteFile(root + "/a", "x");
  std::filesystem::rename(root, scratch / "elsewhere");
  EXPECT_EQ(Stat("a"), 0);
}

TEST_F(FileStoreTest, TagsTellContentsApart) {
  WriteFile(root + "/a", "one");
  WriteFile(root + "/b", "one");
  files::Entry a;
  files::Entry b;
  ASSERT_EQ(store->Stat("a", a), 0);
  ASSERT_EQ(store->Stat("b", b), 0);
  EXPECT_NE(a.tag, b.tag);
  files::Entry again;
  ASSERT_EQ(store->Stat("a", again), 0);
  EXPECT_EQ(a, again);
  // Another content of the same size whose time was set back.
  const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root + "/a").c_str(), times, 0), 0);
  ASSERT_EQ(store->Stat("a", a), 0);
  do {
    WriteFile(root + "/a", "two");
    ASSERT_EQ(::utimensat(AT_FDCWD, (root + "/a").c_str(), times, 0), 0);
    ASSERT_EQ(store->Stat("a", again), 0);
  } while (again.tag == a.tag && ::usleep(1000) == 0);  // until the clock of the kernel has ticked
  EXPECT_EQ(again.modified, 1'000'000'000);
}

TEST_F(FileStoreTest, TimesBefore1970) {
  WriteFile(root + "/a", "");
  const timespec times[2] = {{.tv_sec = -5, .tv_nsec = 0}, {.tv_sec = -5, .tv_nsec = 500'000'000}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root + "/a").c_str(), times, 0), 0);
  files::Entry entry;
  ASSERT_EQ(store->Stat("a", entry), 0);
  EXPECT_EQ(entry.modified, -4'500'000'000);
}

TEST_F(FileStoreTest, RenamesDirectoriesInPlaceOfNothing) {
  std::filesystem::create_directories(root + "/d/e");
  std::filesystem::create_directory(root + "/empty");
  uint64_t freed = 0;
  EXPECT_EQ(store->Rename("d", "moved", &freed), 0);
  EXPECT_EQ(Stat("moved/e"), 0);
  EXPECT_EQ(store->Rename("moved", "empty", &freed), -EEXIST);
  EXPECT_EQ(store->Rename("moved", "moved/e/f", &freed), -EINVAL);
  EXPECT_EQ(freed, 0U);
}

TEST_F(FileStoreTest, SaysWhatWasFreed) {
  WriteFile(root + "/a", "12345");
  WriteFile(root + "/b", "123");
  std::filesystem::create_hard_link(root + "/a", root + "/linked");
  std::filesystem::create_symlink("a", root + "/symbolic");
  uint64_t freed = 0;
  EXPECT_EQ(store->Delete("linked", &freed), 0);
  EXPECT_EQ(freed, 0U) << "the file is there by another name";
  EXPECT_EQ(store->Delete("symbolic", &freed), 0);
  EXPECT_EQ(freed, 0U);
  EXPECT_EQ(store->Rename("b", "a", &freed), 0);
  EXPECT_EQ(freed, 5U);
  freed = 0;
  EXPECT_EQ(store->Rename("a", "a", &freed), 0);
  EXPECT_EQ(freed, 0U) << "in place of itself";
  EXPECT_EQ(store->Delete("a", &freed), 0);
  EXPECT_EQ(freed, 3U);
}

// Somebody turns a directory into a link that leads outside and back, as fast as he can: no look
// ever finds what is there.
TEST_F(FileStoreTest, NobodyWinsTheRaceOutOfTheRoot) {
  std::filesystem::create_directory(scratch / "outside");
  WriteFile(scratch / "outside/prey", "outside");
  std::filesystem::create_directory(root + "/real");
  std::filesystem::create_symlink(scratch / "outside", root + "/link");
  std::atomic<bool> over = false;
  std::thread enemy([&] {
    while (!over) {
      ::renameat2(AT_FDCWD, (root + "/real").c_str(), AT_FDCWD, (root + "/link").c_str(),
                  RENAME_EXCHANGE);
    }
  });
  uint64_t freed = 0;
  bool forbidden = false;
  bool missing = false;
  for (int i = 0; i < 100'000 && !(i > 3000 && forbidden && missing); ++i) {
    const int64_t results[] = {Stat("real/prey"), store->Delete("real/prey", &freed),
                               store->Rename("real/prey", "real/gone", &freed)};
    for (const int64_t result : results) {
      EXPECT_NE(result, 0);
      forbidden = forbidden || result == -EXDEV;
      missing = missing || result == -ENOENT;
    }
    const FileStore::Making making;
    UniqueFd directory;
    store->OpenDirectory("real/made", O_RDONLY, directory, &making);
  }
  over = true;
  enemy.join();
  EXPECT_TRUE(forbidden);
  EXPECT_TRUE(missing);
  EXPECT_EQ(ReadFile(scratch / "outside/prey"), "outside");
  EXPECT_FALSE(std::filesystem::exists(scratch / "outside/made"));
}

}  // namespace
}  // namespace quintet::testing
