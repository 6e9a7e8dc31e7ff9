#include "apps/program/log_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "reactor/log.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"
#include "tests/support/scratch_directory.h"

namespace quintet::program {
namespace {

using ::testing::HasSubstr;
using testing::InChild;

class LogFileTest : public testing::DescriptorLeakTest {
 protected:
  // Opens and redirects; "" or the error.
  static std::string Use(const std::string& path) {
    const absl::StatusOr<LogFile> file = LogFile::Open(path);
    const absl::Status status = file.ok() ? file->Redirect() : file.status();
    return status.ok() ? "" : status.ToString();
  }

  const testing::ScratchDirectory directory_;
  const std::string path_ = directory_ / "hello.log";
};

TEST_F(LogFileTest, StandardErrorIsAppended) {
  testing::WriteFile(path_, "before\n");
  EXPECT_EQ(InChild([this] {
              const std::string error = Use(path_);
              LogToStderr(LogLevel::kInfo, "after");
              return error + (fcntl(STDERR_FILENO, F_GETFD) == 0 ? "" : "close-on-exec");
            }),
            "");
  EXPECT_EQ(testing::ReadFile(path_), "before\nquintet: after\n");
}

TEST_F(LogFileTest, OpeningAloneChangesNothing) {
  const std::string other = directory_ / "other.log";
  EXPECT_EQ(InChild([&] {
              const std::string error = Use(other);
              const bool opened = LogFile::Open(path_).ok();
              LogToStderr(LogLevel::kInfo, "line");
              return error + (opened ? "opened" : "not opened");
            }),
            "opened");
  EXPECT_EQ(testing::ReadFile(other), "quintet: line\n");
  EXPECT_EQ(testing::ReadFile(path_), "");
}

TEST_F(LogFileTest, ARotatedFileIsOpenedAgain) {
  EXPECT_EQ(InChild([this] {
              std::string error = Use(path_);
              LogToStderr(LogLevel::kInfo, "one");
              std::filesystem::rename(path_, path_ + ".1");
              LogToStderr(LogLevel::kInfo, "two");
              error += Use(path_);
              LogToStderr(LogLevel::kInfo, "three");
              return error;
            }),
            "");
  EXPECT_EQ(testing::ReadFile(path_ + ".1"), "quintet: one\nquintet: two\n");
  EXPECT_EQ(testing::ReadFile(path_), "quintet: three\n");
}

TEST_F(LogFileTest, OthersCannotReadIt) {
  EXPECT_EQ(InChild([this] {
              umask(022);
              return Use(path_);
            }),
            "");
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST_F(LogFileTest, ErrorsNameThePath) {
  const auto error = [](const std::string& path) {
    return LogFile::Open(path).status().ToString();
  };
  EXPECT_THAT(error(directory_.path()), HasSubstr("log file " + directory_.path() + ": EISDIR"));
  EXPECT_THAT(error(directory_ / "missing/log"), HasSubstr("/missing/log: ENOENT"));
  EXPECT_THAT(error(""), HasSubstr("log file : ENOENT"));
  // Nobody reads: neither waited for nor taken.
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(error(path_), HasSubstr("ENXIO"));
}

}  // namespace
}  // namespace quintet::program
