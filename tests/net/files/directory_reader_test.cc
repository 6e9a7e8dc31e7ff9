#include "net/files/directory_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using files::DirectoryReader;
using files::Entry;
using files::FileStore;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class DirectoryReaderTest : public ::testing::Test {
 protected:
  std::vector<Entry> Read(const std::string& path, bool directories,
                          size_t limit = DirectoryReader::kMaxEntryBytes) {
    DirectoryReader reader(*store, path, directories);
    EXPECT_EQ(reader.Open(), 0);
    std::vector<Entry> all;
    std::string payload;
    while (!reader.at_end()) {
      EXPECT_EQ(reader.Read(payload, limit), 0);
      EXPECT_LE(payload.size(), limit);
      auto entries = files::ParseEntries(payload);
      EXPECT_TRUE(entries.has_value());
      if (!entries.has_value()) break;
      all.insert(all.end(), entries->begin(), entries->end());
    }
    return all;
  }
  static std::vector<std::string> Names(const std::vector<Entry>& entries) {
    std::vector<std::string> names;
    for (const Entry& entry : entries) names.push_back(entry.name);
    return names;
  }

  const ScratchDirectory scratch;
  const std::unique_ptr<const FileStore> store = *FileStore::Open(scratch.path());
};

TEST_F(DirectoryReaderTest, LeavesOutWhatIsNotServed) {
  WriteFile(scratch / "file", "12345");
  WriteFile(scratch / ".hidden", "");
  WriteFile(scratch / ".quintet-0.part", "");
  std::filesystem::create_directory(scratch / "directory");
  ASSERT_EQ(::mkfifo((scratch / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("file", scratch / "link");
  std::filesystem::create_symlink("directory", scratch / "directory_link");
  std::filesystem::create_symlink("/etc/passwd", scratch / "outside");
  std::filesystem::create_symlink("nowhere", scratch / "dangling");
  const auto entries = Read("", false);
  EXPECT_THAT(Names(entries), UnorderedElementsAre("file", "link"));
  for (const Entry& entry : entries) EXPECT_EQ(entry.size, 5U) << entry.name;
  EXPECT_THAT(Names(Read("", true)), UnorderedElementsAre("file", "link", "directory"));
}

TEST_F(DirectoryReaderTest, BelowTheRoot) {
  std::filesystem::create_directories(scratch / "a/b");
  WriteFile(scratch / "top", "1234567");
  std::filesystem::create_symlink("../../top", scratch / "a/b/up");
  std::filesystem::create_symlink("../../../top", scratch / "a/b/too_far");
  const auto entries = Read("a/b", true);
  ASSERT_THAT(Names(entries), UnorderedElementsAre("up"));
  EXPECT_EQ(entries[0].size, 7U);
  EXPECT_THAT(Read("a", false), IsEmpty());
}

TEST_F(DirectoryReaderTest, PartsOfAnySize) {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) {
    names.push_back(std::string(static_cast<size_t>(1 + i * 2), 'n') + std::to_string(i));
    WriteFile(scratch / names.back(), "");
  }
  for (const size_t limit : {DirectoryReader::kMaxEntryBytes, size_t{1000}, size_t{32} << 10}) {
    EXPECT_THAT(Names(Read("", false, limit)), ::testing::UnorderedElementsAreArray(names));
  }
}

TEST_F(DirectoryReaderTest, Errors) {
  WriteFile(scratch / "file", "");
  EXPECT_EQ(DirectoryReader(*store, "missing", false).Open(), -ENOENT);
  EXPECT_EQ(DirectoryReader(*store, "file", false).Open(), -ENOTDIR);
}

}  // namespace
}  // namespace quintet::testing
