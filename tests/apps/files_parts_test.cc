// The parts of the files client that need no server: its words, its figures, its names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/files/command.h"
#include "apps/files/completion.h"
#include "apps/files/exit_code.h"
#include "apps/files/part_file.h"
#include "apps/files/progress.h"
#include "apps/files/resolve.h"
#include "apps/files/tree.h"
#include "apps/files/upload.h"
#include "apps/files/words.h"
#include "tests/support/scratch_directory.h"

namespace quintet::files::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ReadFile;
using testing::ScratchDirectory;
using testing::WriteFile;

// ---- Progress ----

TEST(FilesProgressTest, BytesInThreeDigits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(10'188), "9.9 KiB");
  EXPECT_EQ(FormatBytes(10'240), "10 KiB");
  EXPECT_EQ(FormatBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(uint64_t{4} << 30), "4.0 GiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16 EiB");
}

TEST(FilesProgressTest, TimeLeft) {
  EXPECT_EQ(FormatTimeLeft(0), "0:00");
  EXPECT_EQ(FormatTimeLeft(0.1), "0:01");
  EXPECT_EQ(FormatTimeLeft(61), "1:01");
  EXPECT_EQ(FormatTimeLeft(3600), "1:00:00");
  EXPECT_EQ(FormatTimeLeft(-1), "-:--");
  EXPECT_EQ(FormatTimeLeft(1e9), "-:--");
}

TEST(FilesProgressTest, RateFollowsTheLastMoments) {
  RateMeter rate;
  TimePoint now{seconds(100)};
  rate.Update(5000, now);  // what a resumed transfer had before
  EXPECT_EQ(rate.bytes_per_second(), 0);
  rate.Update(6000, now += seconds(1));
  EXPECT_DOUBLE_EQ(rate.bytes_per_second(), 1000);
  for (int i = 0; i < 200; ++i) rate.Update(6000, now += milliseconds(100));
  EXPECT_LT(rate.bytes_per_second(), 5);
  rate.Update(10, now += seconds(1));  // another one
  EXPECT_EQ(rate.bytes_per_second(), 0);
}

TEST(FilesProgressTest, TheLineFitsAndTheNameIsHarmless) {
  const ProgressState state{.name = "directory/file\x1b[2J.bin",
                            .bytes = 25 << 20,
                            .total = 100 << 20,
                            .bytes_per_second = 5 << 20};
  const std::string line = ProgressLine(state, 120);
  EXPECT_EQ(line,
            "directory/file\\x1b[2J.bin [######..................]  25%    25 MiB    5.0 MiB/s "
            "    0:15");
  for (size_t columns = 0; columns < 120; ++columns) {
    EXPECT_LE(ProgressLine(state, columns).size(), columns);
  }
  EXPECT_THAT(ProgressLine(state, 60), HasSubstr("..."));
  EXPECT_THAT(ProgressLine({.name = "f", .bytes = 7, .total = UINT64_MAX}, 60),
              ::testing::Not(HasSubstr("%")));
  EXPECT_THAT(ProgressLine({.name = "empty"}, 80), HasSubstr("100%"));
}

// ---- Uploads ----

TEST(FilesUploadKeyTest, IsTheSameOnlyForTheSameUpload) {
  const uint64_t key = UploadKey("/a/b", 5, 7, "b");
  EXPECT_EQ(key, UploadKey("/a/b", 5, 7, "b"));
  // Across processes, and so across versions of this program.
  EXPECT_EQ(key, 0xb05a5be38830ea58u);
  EXPECT_NE(key, UploadKey("/a/c", 5, 7, "b"));
  EXPECT_NE(key, UploadKey("/a/b", 6, 7, "b"));
  EXPECT_NE(key, UploadKey("/a/b", 5, 8, "b"));
  EXPECT_NE(key, UploadKey("/a/b", 5, 7, "c"));
}

// ---- Parts ----

TEST(FilesPartTest, GrowsHiddenAndAppearsWhole) {
  const ScratchDirectory directory;
  const std::string target = directory / "f";
  WriteFile(target, "former");
  {
    auto part = PartFile::Open(target);
    ASSERT_TRUE(part.ok()) << part.status();
    EXPECT_FALSE(part->tag().has_value());
    ASSERT_TRUE(part->Begin(0xabc).ok());
    ASSERT_EQ(::pwrite(part->descriptor(), "half", 4, 0), 4);
    EXPECT_EQ(PartFile::Open(target).status().message(), target + ": another transfer writes it");
  }
  EXPECT_EQ(ReadFile(target), "former");
  auto part = PartFile::Open(target);
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_EQ(part->size(), 4u);
  EXPECT_EQ(part->tag(), 0xabcu);
  ASSERT_TRUE(part->Publish().ok());
  EXPECT_EQ(ReadFile(target), "half");
  EXPECT_FALSE(std::filesystem::exists(directory / ".f.part"));
  EXPECT_FALSE(std::filesystem::exists(directory / ".f.part.tag"));
}

TEST(FilesPartTest, ATagThatIsNotWholeIsNone) {
  const ScratchDirectory directory;
  WriteFile(directory / ".f.part", "bytes");
  for (const char* text : {"", "abc\n", "00000000000000zz\n", "0000000000000abc"}) {
    WriteFile(directory / ".f.part.tag", text);
    EXPECT_FALSE(PartFile::Open(directory / "f")->tag().has_value()) << text;
  }
  WriteFile(directory / ".f.part.tag", "0000000000000abc\n");
  EXPECT_EQ(PartFile::Open(directory / "f")->tag(), 0xabcu);
}

TEST(FilesPartTest, LongNamesStayTwo) {
  const std::string name(250, 'n');
  EXPECT_EQ(PartPath("d/f"), "d/.f.part");
  EXPECT_LE(BaseName(PartPath(name + "1")).size() + 4, 255u);
  EXPECT_NE(PartPath(name + "1"), PartPath(name + "2"));
}

TEST(FilesPartTest, DirectoriesAndLinksAreRefused) {
  const ScratchDirectory directory;
  EXPECT_THAT(PartFile::Open(directory.path()).status().message(), HasSubstr("is a directory"));
  std::filesystem::create_symlink("/etc/passwd", directory / ".f.part");
  EXPECT_FALSE(PartFile::Open(directory / "f").ok());
}

// ---- Names ----

TEST(FilesNameTest, OnlyWhatStaysInItsDirectoryIsSafe) {
  EXPECT_TRUE(SafeName("a b"));
  for (const char* name : {"", ".", "..", "../x", "a/b", "/a", ".hidden", "a/../../b"}) {
    EXPECT_FALSE(SafeName(name)) << name;
  }
}

// ---- Commands ----

TEST(FilesCommandTest, CommandLines) {
  const auto get = ParseCommandLine({"get", "host:1", "a", "b", "--resume", "--parallel", "4"});
  ASSERT_TRUE(get.ok()) << get.status();
  EXPECT_EQ(get->command.kind, CommandKind::kGet);
  EXPECT_EQ(get->command.server, "host:1");
  EXPECT_THAT(get->command.paths, ElementsAre("a", "b"));
  EXPECT_TRUE(get->command.resume);
  EXPECT_EQ(get->command.parallel, 4u);
  const auto shell = ParseCommandLine({"[::1]:6241", "--quiet", "--timeout", "5s"});
  ASSERT_TRUE(shell.ok()) << shell.status();
  EXPECT_EQ(shell->command.kind, CommandKind::kInteractive);
  EXPECT_EQ(shell->command.timeout, seconds(5));
  EXPECT_THAT(ParseCommandLine({"--help"})->help.value_or(""), HasSubstr("130"));
  EXPECT_THAT(ParseCommandLine({"put", "--help"})->help.value_or(""), HasSubstr("--resume"));
}

TEST(FilesCommandTest, WrongCommandLines) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"fetch"},
                                             {"get", "host:1"},
                                             {"get", "host:1", "a", "b", "c"},
                                             {"get", "host:1", "a", "--parallel", "0"},
                                             {"get", "host:1", "a", "--parallel", "65"},
                                             {"ls", "host:1", "--timeout", "0s"},
                                             {"ls", "host:1", "--resume"},
                                             {"mv", "host:1", "a"},
                                             {"host:1", "a"}}) {
    EXPECT_FALSE(ParseCommandLine(words).ok()) << ::testing::PrintToString(words);
  }
  EXPECT_THAT(ParseShellCommand({"fetch", "a"}).status().message(), HasSubstr("no command"));
  EXPECT_FALSE(ParseShellCommand({"get"}).ok());
  EXPECT_THAT(ParseShellCommand({"get", "a"})->command.paths, ElementsAre("a"));
  EXPECT_TRUE(ParseShellCommand({"ls"}).ok());
}

TEST(FilesWordsTest, QuotesAndBackslashes) {
  EXPECT_THAT(SplitWords("  a\tb  ").words, ElementsAre("a", "b"));
  EXPECT_THAT(SplitWords("'a b' \"c \\\" d\" e\\ f ''").words,
              ElementsAre("a b", "c \" d", "e f", ""));
  EXPECT_TRUE(SplitWords("a 'b").unfinished);
  EXPECT_TRUE(SplitWords("a\\").unfinished);
  for (const char* word : {"plain", "two words", "q'u\"o\\te", ""}) {
    EXPECT_THAT(SplitWords(QuoteWord(word)).words, ElementsAre(word));
  }
}

TEST(FilesCompletionTest, CommandsThenNamesByTheirKind) {
  std::vector<std::string> asked;
  const NameLister names = [&](ArgumentKind kind, const std::string& directory) {
    asked.push_back((kind == ArgumentKind::kRemote ? "remote:" : "local:") + directory);
    return std::vector<std::string>{"two words", "sub/", "some"};
  };
  EXPECT_THAT(Complete("", names), ::testing::Contains("list"));
  EXPECT_THAT(Complete("q", names), ElementsAre("quit"));
  EXPECT_THAT(asked, IsEmpty());
  EXPECT_THAT(Complete("get s", names), ElementsAre("some", "sub/"));
  EXPECT_THAT(Complete("get d/t", names), ElementsAre("d/two\\ words"));
  EXPECT_THAT(Complete("get two\\ w", names), ElementsAre("two\\ words"));
  EXPECT_THAT(Complete("get --resume some ", names), ::testing::SizeIs(3));
  EXPECT_THAT(Complete("put /", names), ::testing::SizeIs(3));
  EXPECT_THAT(asked, ElementsAre("remote:", "remote:d", "remote:", "local:", "local:/"));
  EXPECT_THAT(Complete("rm a b", names), IsEmpty());
  EXPECT_THAT(Complete("nothing s", names), IsEmpty());
}

TEST(FilesExitCodeTest, EveryErrorHasOne) {
  EXPECT_EQ(ExitCodeOf({.code = ErrorCode::kNotFound}), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf({.code = ErrorCode::kReadOnly}), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf({.code = ErrorCode::kQuota}), ExitCode::kNoSpace);
  EXPECT_EQ(ExitCodeOf({.code = ErrorCode::kBusy}), ExitCode::kBusy);
  EXPECT_EQ(ExitCodeOf({.code = ErrorCode::kIo}), ExitCode::kFailure);
  EXPECT_EQ(ExitCodeOf(ConnectionError(CloseReason::kPeerReset)), ExitCode::kConnection);
}

TEST(FilesResolveTest, AddressesAndNames) {
  EXPECT_EQ(Resolve("127.0.0.1:6241")->front().ToString(), "127.0.0.1:6241");
  const auto local = Resolve("localhost:6241");
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_EQ(local->front().port(), 6241);
  for (const char* text : {"localhost", "localhost:", ":1", "127.0.0.1:99999", "1.2.3.4.5:1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Resolve(text).status())) << text;
  }
}

}  // namespace
}  // namespace quintet::files::app
