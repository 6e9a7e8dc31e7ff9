#include "reactor/file_request.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "tests/support/descriptors.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

int64_t Perform(FileRequest request) { return PerformFileRequest(request); }

class FileRequestTest : public DescriptorLeakTest {
 protected:
  Fd Open(const std::string& path, int flags = O_RDWR) {
    return Fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  }

  ScratchDirectory directory_;
};

TEST_F(FileRequestTest, OpensCloseOnExecWhateverIsAskedFor) {
  WriteFile(directory_ / "a", "abc");
  const Fd in(::open(directory_.path().c_str(), O_DIRECTORY | O_CLOEXEC));
  const open_how how{.flags = O_RDONLY, .mode = 0, .resolve = RESOLVE_BENEATH};
  const Fd file(static_cast<int>(Perform(FileRequest::Open(in.get(), "a", how))));
  ASSERT_TRUE(file);
  EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(Perform(FileRequest::Open(in.get(), "../a", how)), -EXDEV);
  EXPECT_EQ(Perform(FileRequest::Open(in.get(), "b", how)), -ENOENT);
}

TEST_F(FileRequestTest, ReadsAndWritesAtAPlace) {
  const Fd file = Open(directory_ / "a", O_RDWR | O_CREAT);
  EXPECT_EQ(Perform(FileRequest::Write(file.get(), "hello", 5, 3)), 5);
  char buffer[16] = {};
  EXPECT_EQ(Perform(FileRequest::Read(file.get(), buffer, sizeof(buffer), 3)), 5);
  EXPECT_STREQ(buffer, "hello");
  EXPECT_EQ(Perform(FileRequest::Read(file.get(), buffer, sizeof(buffer), 8)), 0);
  EXPECT_EQ(Perform(FileRequest::Sync(file.get())), 0);
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 0);
}

TEST_F(FileRequestTest, RenamesAndUnlinksWithTheirFlags) {
  WriteFile(directory_ / "a", "a");
  WriteFile(directory_ / "b", "b");
  const std::string a = directory_ / "a";
  const std::string b = directory_ / "b";
  EXPECT_EQ(
      Perform(FileRequest::Rename(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_NOREPLACE)),
      -EEXIST);
  EXPECT_EQ(Perform(FileRequest::Rename(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str())), 0);
  EXPECT_EQ(ReadFile(b), "a");
  EXPECT_EQ(Perform(FileRequest::Unlink(AT_FDCWD, b.c_str(), AT_REMOVEDIR)), -ENOTDIR);
  EXPECT_EQ(Perform(FileRequest::Unlink(AT_FDCWD, b.c_str())), 0);
  EXPECT_EQ(Perform(FileRequest::Unlink(AT_FDCWD, b.c_str())), -ENOENT);
}

TEST_F(FileRequestTest, CallsAndPassesTheResultOn) {
  EXPECT_EQ(Perform(FileRequest::Call([] { return int64_t{1} << 40; })), int64_t{1} << 40);
}

TEST_F(FileRequestTest, DiscardsOpenedDescriptorsOnly) {
  const Fd file = Open("/dev/null");
  const int copy = ::fcntl(file.get(), F_DUPFD_CLOEXEC, 0);
  DiscardFileResult(FileRequest::Sync(file.get()), copy);
  EXPECT_TRUE(IsOpen(copy));
  DiscardFileResult(FileRequest::Open(AT_FDCWD, "", {}), copy);
  EXPECT_FALSE(IsOpen(copy));
}

bool CachestatWorks(int fd) {
  const uint64_t range[2] = {0, 1};
  uint64_t pages[5] = {};
  return ::syscall(451, fd, range, pages, 0U) == 0;
}

TEST_F(FileRequestTest, WarmingBringsAFileIntoMemory) {
  constexpr size_t kBytes = (1 << 20) + 100;
  WriteFile(directory_ / "a", std::string(kBytes, 'x'));
  const Fd file = Open(directory_ / "a");
  if (!CachestatWorks(file.get())) GTEST_SKIP() << "no cachestat(2) for this file system";
  ASSERT_EQ(::fsync(file.get()), 0);
  ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const bool dropped = !FileIsWarm(file.get(), 0, kBytes);
  EXPECT_EQ(Perform(FileRequest::Warm(file.get(), 0, kBytes)), 0);
  EXPECT_TRUE(FileIsWarm(file.get(), 0, kBytes));
  EXPECT_TRUE(FileIsWarm(file.get(), 5000, 1));
  // It ends within the last page; the pages behind are in no memory.
  EXPECT_FALSE(FileIsWarm(file.get(), 0, kBytes + 8192));
  if (!dropped) GTEST_SKIP() << "this file system keeps its files in memory";
}

TEST_F(FileRequestTest, WarmingEndsWithTheFile) {
  WriteFile(directory_ / "a", "abc");
  const Fd file = Open(directory_ / "a");
  EXPECT_EQ(Perform(FileRequest::Warm(file.get(), 0, 1 << 20)), 0);
  EXPECT_EQ(Perform(FileRequest::Warm(-1, 0, 1)), -EBADF);
}

TEST_F(FileRequestTest, NobodyKnowsWhetherANonFileIsWarm) {
  EXPECT_FALSE(FileIsWarm(-1, 0, 1));
  EXPECT_TRUE(FileIsWarm(-1, 0, 0));
}

}  // namespace
}  // namespace quintet::testing
