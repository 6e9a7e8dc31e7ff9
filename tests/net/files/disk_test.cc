#include "net/files/disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reactor/event_loop.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using files::Disk;

FileRequest Return(int64_t result) {
  return FileRequest::Call([result] { return result; });
}

TEST(DiskTest, InPlaceNothingCompletesWithinStart) {
  int woken = 0;
  const auto disk = Disk::Create(nullptr, [&] { ++woken; });
  EXPECT_TRUE(disk->in_place());
  std::vector<int64_t> results;
  disk->Start(Return(1), [&](int64_t result) { results.push_back(result); });
  disk->Start(Return(-5), [&](int64_t result) { results.push_back(result); });
  EXPECT_TRUE(results.empty());
  EXPECT_EQ(woken, 0) << "who starts looks by himself";
  disk->RunFinished();
  EXPECT_EQ(results, (std::vector<int64_t>{1, -5}));
}

// Each is started by the one before: as deep as a recursion of these would be, no stack is.
TEST(DiskTest, ChainsAreNoRecursion) {
  const auto disk = Disk::Create(nullptr, [] {});
  int left = 1'000'000;
  struct Chain {
    static void Next(Disk& disk, int& left) {
      if (--left > 0) disk.Start(Return(0), [&](int64_t) { Next(disk, left); });
    }
  };
  Chain::Next(*disk, left);
  disk->RunFinished();
  EXPECT_EQ(left, 0);
}

TEST(DiskTest, DetachedItRunsByItself) {
  auto disk = Disk::Create(nullptr, [] { ADD_FAILURE() << "the owner is gone"; });
  int done = 0;
  disk->Start(Return(0), [&done, disk = disk.get()](int64_t) {
    ++done;
    disk->Start(Return(0), [&done](int64_t) { ++done; });
  });
  disk->Detach();
  EXPECT_EQ(done, 2);
  disk->Start(Return(0), [&](int64_t) { ++done; });
  EXPECT_EQ(done, 3);
}

TEST(DiskTest, CompletionsMayThrow) {
  const auto disk = Disk::Create(nullptr, [] {});
  int done = 0;
  disk->Start(Return(0), [](int64_t) { throw 1; });
  EXPECT_ANY_THROW(disk->RunFinished());
  disk->Start(Return(0), [&](int64_t) { ++done; });
  disk->RunFinished();
  EXPECT_EQ(done, 1);
}

TEST(DiskTest, OnALoop) {
  const ScratchDirectory scratch;
  WriteFile(scratch / "file", "content");
  auto loop = *EventLoop::Create();
  int woken = 0;
  std::shared_ptr<Disk> disk;
  disk = Disk::Create(loop.get(), [&] {
    ++woken;
    disk->RunFinished();
  });
  EXPECT_FALSE(disk->in_place());
  int64_t fd = -1;
  const std::string path = scratch / "file";
  const open_how how = {.flags = O_RDONLY, .mode = 0, .resolve = 0};
  disk->Start(FileRequest::Open(AT_FDCWD, path.c_str(), how), [&](int64_t result) { fd = result; });
  while (fd < 0) loop->RunOnce(std::chrono::seconds(1));
  EXPECT_EQ(woken, 1);
  std::string read(7, ' ');
  int64_t result = -1;
  disk->Start(FileRequest::Read(static_cast<int>(fd), read.data(), read.size(), 0),
              [&](int64_t count) { result = count; });
  disk->Detach();
  while (result < 0) loop->RunOnce(std::chrono::seconds(1));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(read, "content");
  EXPECT_EQ(::close(static_cast<int>(fd)), 0);
}

// What a callback owns goes with the loop.
TEST(DiskTest, TheLoopMayGoFirst) {
  auto loop = *EventLoop::Create();
  const auto disk = Disk::Create(loop.get(), [] {});
  const auto owned = std::make_shared<int>();
  disk->Start(Return(0), [owned](int64_t) { ADD_FAILURE(); });
  EXPECT_EQ(owned.use_count(), 2);
  loop.reset();
  EXPECT_EQ(owned.use_count(), 1);
}

}  // namespace
}  // namespace quintet::testing
