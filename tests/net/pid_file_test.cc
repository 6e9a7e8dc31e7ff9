#include "net/pid_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"
#include "tests/support/scratch_directory.h"

namespace quintet {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::HighPipe;
using testing::InChild;

class PidFileTest : public testing::DescriptorLeakTest {
 protected:
  std::string Content() const { return testing::ReadFile(path_); }
  void Write(const std::string& text) const { testing::WriteFile(path_, text); }
  bool Exists() const { return std::filesystem::exists(path_); }
  size_t Files() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(directory_.path())) {
      ++count;
    }
    return count;
  }

  // Create() in another process, which ends at once: "created", or the error.
  std::string CreateElsewhere() const {
    return InChild([this]() -> std::string {
      const absl::StatusOr<PidFile> file = PidFile::Create(path_);
      return file.ok() ? "created" : file.status().ToString();
    });
  }
  static std::string Pid(pid_t pid) { return std::to_string(pid) + "\n"; }
  std::string RunningWith(pid_t pid) const {
    return "ALREADY_EXISTS: pid file " + path_ + ": already running with pid " +
           std::to_string(pid);
  }

  const testing::ScratchDirectory directory_;
  const std::string path_ = directory_ / "hello.pid";
};

TEST_F(PidFileTest, NamesTheProcessAndGoesWithIt) {
  const mode_t old_mask = umask(077);
  {
    const absl::StatusOr<PidFile> file = PidFile::Create(path_);
    umask(old_mask);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->path(), path_);
    EXPECT_EQ(Content(), Pid(getpid()));
    struct stat info {};
    ASSERT_EQ(stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0644u);
    EXPECT_EQ(info.st_nlink, 1u);
    EXPECT_EQ(Files(), 1u);
  }
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PidFileTest, ASecondProcessIsRefused) {
  std::optional<PidFile> file;
  {
    absl::StatusOr<PidFile> created = PidFile::Create(path_);
    ASSERT_TRUE(created.ok()) << created.status();
    file = *std::move(created);
  }
  EXPECT_EQ(CreateElsewhere(), RunningWith(getpid()));
  // Nor a second one of the same process.
  EXPECT_EQ(PidFile::Create(path_).status().ToString(), RunningWith(getpid()));
  EXPECT_EQ(PidFile::Check(path_).ToString(), RunningWith(getpid()));
  EXPECT_EQ(Content(), Pid(getpid()));
  EXPECT_EQ(Files(), 1u);
  file.reset();
  EXPECT_EQ(CreateElsewhere(), "created");
}

TEST_F(PidFileTest, TheFileOfADeadProcessIsReplaced) {
  const HighPipe ready;
  ForkedProcess other([&] {
    const absl::StatusOr<PidFile> file = PidFile::Create(path_);
    ready.WriteLine(file.ok() ? "created" : file.status().ToString());
    pause();
    return 0;
  });
  ASSERT_EQ(ready.ReadLine(), "created");
  EXPECT_EQ(CreateElsewhere(), RunningWith(other.pid()));
  other.Signal(SIGKILL);
  EXPECT_EQ(other.Wait(), 128 + SIGKILL);
  EXPECT_EQ(Content(), Pid(other.pid()));

  const absl::StatusOr<PidFile> file = PidFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Content(), Pid(getpid()));
  EXPECT_EQ(Files(), 1u);
}

TEST_F(PidFileTest, CheckingChangesNothing) {
  EXPECT_TRUE(PidFile::Check(path_).ok());
  EXPECT_EQ(Files(), 0u);
  Write("of a dead process");
  EXPECT_TRUE(PidFile::Check(path_).ok());
  EXPECT_EQ(Content(), "of a dead process");
  EXPECT_EQ(CreateElsewhere(), "created") << "it is still locked";
  EXPECT_TRUE(absl::IsFailedPrecondition(PidFile::Check("/dev/null")));
}

TEST_F(PidFileTest, WhatAStaleFileHoldsDoesNotMatter) {
  // Also where it is the id of a process that runs: another one by now.
  for (const std::string& text : {std::string(), std::string("1\n"), std::string("garbage"),
                                  std::string(1000, '9'), Pid(getpid())}) {
    Write(text);
    const absl::StatusOr<PidFile> file = PidFile::Create(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(Content(), Pid(getpid()));
  }
}

TEST_F(PidFileTest, ASuccessorTakesOverWhileThePredecessorLives) {
  absl::StatusOr<PidFile> predecessor = PidFile::Create(path_);
  ASSERT_TRUE(predecessor.ok()) << predecessor.status();
  std::optional<PidFile> old = *std::move(predecessor);

  const HighPipe ready;
  const HighPipe end;
  ForkedProcess successor([&] {
    old.reset();  // the parent's: stays
    {
      const absl::StatusOr<PidFile> file = PidFile::TakeOver(path_);
      ready.WriteLine(file.ok() ? "taken over" : file.status().ToString());
      end.ReadLine();
    }
    return 0;
  });
  ASSERT_EQ(ready.ReadLine(), "taken over");
  EXPECT_EQ(Content(), Pid(successor.pid()));
  EXPECT_EQ(CreateElsewhere(), RunningWith(successor.pid()));
  // The predecessor leaves; the file is not its own any more.
  old.reset();
  EXPECT_EQ(Content(), Pid(successor.pid()));
  EXPECT_EQ(CreateElsewhere(), RunningWith(successor.pid()));
  EXPECT_EQ(Files(), 1u);
  end.WriteLine("");
  EXPECT_EQ(successor.Wait(), 0);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PidFileTest, TakingOverNeedsNoPredecessor) {
  const absl::StatusOr<PidFile> file = PidFile::TakeOver(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Content(), Pid(getpid()));
}

TEST_F(PidFileTest, AForkedChildDoesNotRemoveIt) {
  absl::StatusOr<PidFile> created = PidFile::Create(path_);
  ASSERT_TRUE(created.ok()) << created.status();
  std::optional<PidFile> file = *std::move(created);
  EXPECT_EQ(InChild([&]() -> std::string {
              file.reset();
              return Exists() ? "left" : "removed";
            }),
            "left");
  // And the lock is still held.
  EXPECT_EQ(CreateElsewhere(), RunningWith(getpid()));
}

TEST_F(PidFileTest, SomebodyElsesFileIsLeftAlone) {
  {
    const absl::StatusOr<PidFile> file = PidFile::Create(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    std::filesystem::rename(path_, path_ + ".old");
    Write("somebody else's\n");
  }
  EXPECT_EQ(Content(), "somebody else's\n");
}

TEST_F(PidFileTest, MovesWithItsFile) {
  const std::string other_path = directory_ / "other.pid";
  absl::StatusOr<PidFile> first = PidFile::Create(path_);
  absl::StatusOr<PidFile> second = PidFile::Create(other_path);
  ASSERT_TRUE(first.ok() && second.ok());
  {
    PidFile moved(*std::move(first));
    EXPECT_TRUE(Exists());
    // The one that is assigned to goes.
    moved = *std::move(second);
    EXPECT_FALSE(Exists());
    EXPECT_EQ(moved.path(), other_path);
    EXPECT_EQ(Files(), 1u);
  }
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PidFileTest, OfManyThatStartOneWins) {
  constexpr int kProcesses = 8;
  for (const bool stale : {false, true}) {
    for (int round = 0; round < 10; ++round) {
      if (stale) Write("1\n");
      HighPipe start;
      HighPipe end;
      const HighPipe results;
      std::vector<std::unique_ptr<ForkedProcess>> processes;
      processes.reserve(kProcesses);
      for (int i = 0; i < kProcesses; ++i) {
        processes.push_back(std::make_unique<ForkedProcess>([&] {
          start.write.Reset();
          end.write.Reset();
          start.ReadLine();
          const absl::StatusOr<PidFile> file = PidFile::Create(path_);
          const bool lost = absl::IsAlreadyExists(file.status());
          results.WriteLine(file.ok() ? "won" : lost ? "lost" : file.status().ToString());
          end.ReadLine();
          return 0;
        }));
      }
      start.write.Reset();
      int won = 0;
      for (int i = 0; i < kProcesses; ++i) {
        const std::string result = results.ReadLine();
        if (result == "won") {
          ++won;
        } else {
          EXPECT_EQ(result, "lost");
        }
      }
      EXPECT_EQ(won, 1);
      end.write.Reset();
      for (const auto& process : processes) EXPECT_EQ(process->Wait(), 0);
      EXPECT_EQ(Files(), 0u);
    }
  }
}

// Whoever opened the file just before its process removed it must not take it for a stale one.
TEST_F(PidFileTest, OfManyThatComeAndGoOneHoldsIt) {
  constexpr int kProcesses = 4;
  constexpr int kRounds = 500;
  const std::string inside = directory_ / "inside";
  std::vector<std::unique_ptr<ForkedProcess>> processes;
  processes.reserve(kProcesses);
  for (int i = 0; i < kProcesses; ++i) {
    processes.push_back(std::make_unique<ForkedProcess>([&] {
      for (int held = 0; held < kRounds;) {
        const absl::StatusOr<PidFile> file = PidFile::Create(path_);
        if (absl::IsAlreadyExists(file.status())) continue;
        if (!file.ok()) return 2;
        const testing::Fd alone(open(inside.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600));
        if (!alone) return 1;
        unlink(inside.c_str());
        ++held;
      }
      return 0;
    }));
  }
  for (const auto& process : processes) EXPECT_EQ(process->Wait(), 0);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PidFileTest, ErrorsNameThePath) {
  const auto error = [](const std::string& path) {
    return PidFile::Create(path).status().ToString();
  };
  EXPECT_EQ(error(""), "INVALID_ARGUMENT: pid file: the path is empty");
  EXPECT_EQ(PidFile::TakeOver("").status().ToString(),
            "INVALID_ARGUMENT: pid file: the path is empty");
  EXPECT_THAT(error(directory_.path()),
              HasSubstr("pid file " + directory_.path() + ": open: EISDIR"));
  const std::string missing = directory_ / "missing/hello.pid";
  EXPECT_THAT(error(missing),
              HasSubstr("pid file " + missing + ": create a file beside it: ENOENT"));
  EXPECT_THAT(PidFile::TakeOver(missing).status().ToString(), HasSubstr("ENOENT"));

  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(error(path_),
            "FAILED_PRECONDITION: pid file " + path_ + ": exists and is not a regular file");
  std::filesystem::remove(path_);
  // A link of somebody else's making is not followed.
  std::filesystem::create_symlink(directory_ / "target", path_);
  EXPECT_THAT(error(path_), HasSubstr("pid file " + path_ + ": open: ELOOP"));
  EXPECT_EQ(Files(), 1u);
}

}  // namespace
}  // namespace quintet
