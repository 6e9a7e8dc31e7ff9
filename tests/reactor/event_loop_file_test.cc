// EventLoop::StartFile() on every backend.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/file_pool.h"
#include "tests/support/loop_test.h"
#include "tests/support/recording_source.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

constexpr open_how kReadOnly{.flags = O_RDONLY, .mode = 0, .resolve = 0};
constexpr open_how kCreate{.flags = O_RDWR | O_CREAT, .mode = 0600, .resolve = 0};

// Threads of this process that are a pool's.
int PoolThreads() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (ReadFile(task.path() / "comm") == "quintet-file\n") ++count;
  }
  return count;
}

// Turns that wait as long as the patience lasts: a request that Wait() does not return for is a
// failure, not a delay.
[[nodiscard]] bool WaitUntil(EventLoop& loop, const std::function<bool()>& done) {
  const TimePoint deadline = loop.clock().Now() + 20s;
  while (!done()) {
    if (loop.clock().Now() >= deadline) return false;
    loop.RunOnce(20s);
  }
  return loop.clock().Now() < deadline;
}

class EventLoopFileTest : public LoopTest {
 protected:
  // Starts it and turns until it is over.
  int64_t Perform(FileRequest request) {
    std::optional<int64_t> result;
    loop().StartFile(std::move(request), [&](int64_t r) { result = r; });
    EXPECT_FALSE(result.has_value()) << "called from inside StartFile()";
    EXPECT_TRUE(WaitUntil(loop(), [&] { return result.has_value(); }));
    return result.value_or(INT64_MIN);
  }
  Fd Open(const std::string& path, const open_how& how = kCreate) {
    return Fd(static_cast<int>(Perform(FileRequest::Open(AT_FDCWD, path.c_str(), how))));
  }
  // A FIFO that blocks its readers: it has a writer, and nothing is written.
  Fd OpenFifo() {
    const std::string path = directory_ / "fifo";
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    return Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  }

  ScratchDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(Backends, EventLoopFileTest, AllBackends(), KindName);

TEST_P(EventLoopFileTest, WritesSyncsAndReadsAFile) {
  const Fd file = Open(directory_ / "a");
  ASSERT_TRUE(file);
  EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(Perform(FileRequest::Write(file.get(), "hello, disk", 11, 0)), 11);
  EXPECT_EQ(Perform(FileRequest::Write(file.get(), "D", 1, 7)), 1);
  EXPECT_EQ(Perform(FileRequest::Sync(file.get())), 0);
  char buffer[32] = {};
  EXPECT_EQ(Perform(FileRequest::Read(file.get(), buffer, sizeof(buffer), 7)), 4);
  EXPECT_STREQ(buffer, "Disk");
  EXPECT_EQ(Perform(FileRequest::Read(file.get(), buffer, sizeof(buffer), 11)), 0);
  EXPECT_EQ(ReadFile(directory_ / "a"), "hello, Disk");
}

TEST_P(EventLoopFileTest, RenamesAndUnlinks) {
  WriteFile(directory_ / "a", "a");
  WriteFile(directory_ / "b", "b");
  const Fd in = Open(directory_.path(), {.flags = O_DIRECTORY, .mode = 0, .resolve = 0});
  const int dir = in.get();
  EXPECT_EQ(Perform(FileRequest::Rename(dir, "a", dir, "b", RENAME_NOREPLACE)), -EEXIST);
  EXPECT_EQ(Perform(FileRequest::Rename(dir, "a", dir, "b")), 0);
  EXPECT_EQ(ReadFile(directory_ / "b"), "a");
  EXPECT_EQ(Perform(FileRequest::Unlink(dir, "b", AT_REMOVEDIR)), -ENOTDIR);
  EXPECT_EQ(Perform(FileRequest::Unlink(dir, "b")), 0);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "b"));
}

TEST_P(EventLoopFileTest, WarmsMoreThanOneReadBrings) {
  constexpr size_t kBytes = (1 << 20) + 1;
  WriteFile(directory_ / "a", std::string(kBytes, 'x'));
  const Fd file = Open(directory_ / "a", kReadOnly);
  ASSERT_EQ(::fsync(file.get()), 0);
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  EXPECT_EQ(Perform(FileRequest::Warm(file.get(), 0, kBytes)), 0);
  // Where the kernel tells of the first byte it tells of all.
  EXPECT_EQ(FileIsWarm(file.get(), 0, kBytes), FileIsWarm(file.get(), 0, 1));
  EXPECT_EQ(Perform(FileRequest::Warm(file.get(), 4096, SIZE_MAX / 2)), 0) << "up to its end";
  EXPECT_EQ(Perform(FileRequest::Warm(file.get(), 0, 0)), 0);
  EXPECT_EQ(Perform(FileRequest::Warm(-1, 0, 1)), -EBADF);
}

TEST_P(EventLoopFileTest, CallsOnAnotherThread) {
  const std::thread::id self = std::this_thread::get_id();
  auto where = std::make_unique<std::thread::id>();
  EXPECT_EQ(Perform(FileRequest::Call([&where] {
              *where = std::this_thread::get_id();
              return int64_t{1} << 40;
            })),
            int64_t{1} << 40);
  EXPECT_NE(*where, self);
}

TEST_P(EventLoopFileTest, ErrorsAreResults) {
  const std::string missing = directory_ / "missing";
  const std::string file_path = directory_ / "a";
  WriteFile(file_path, "a");
  char byte = 0;
  EXPECT_EQ(Perform(FileRequest::Open(AT_FDCWD, missing.c_str(), kReadOnly)), -ENOENT);
  EXPECT_EQ(Perform(FileRequest::Rename(AT_FDCWD, missing.c_str(), AT_FDCWD, "/tmp")), -ENOENT);
  EXPECT_EQ(Perform(FileRequest::Unlink(AT_FDCWD, missing.c_str())), -ENOENT);
  EXPECT_EQ(Perform(FileRequest::Read(-1, &byte, 1, 0)), -EBADF);
  EXPECT_EQ(Perform(FileRequest::Write(-1, &byte, 1, 0)), -EBADF);
  EXPECT_EQ(Perform(FileRequest::Sync(-1)), -EBADF);
  const Fd file = Open(file_path, kReadOnly);
  EXPECT_EQ(Perform(FileRequest::Write(file.get(), &byte, 1, 0)), -EBADF);
  EXPECT_EQ(Perform(FileRequest::Open(AT_FDCWD, file_path.c_str(),
                                      {.flags = O_RDONLY, .mode = 0600, .resolve = 0})),
            -EINVAL);
}

TEST_P(EventLoopFileTest, NothingOutsideOfTheDirectoryIsOpened) {
  std::filesystem::create_directory(directory_ / "in");
  WriteFile(directory_ / "secret", "s");
  std::filesystem::create_symlink("../secret", directory_ / "in/link");
  const Fd in = Open(directory_ / "in", {.flags = O_DIRECTORY, .mode = 0, .resolve = 0});
  const open_how beneath{.flags = O_RDONLY, .mode = 0, .resolve = RESOLVE_BENEATH};
  for (const char* path : {"../secret", "link", "/etc/passwd"}) {
    EXPECT_EQ(Perform(FileRequest::Open(in.get(), path, beneath)), -EXDEV) << path;
  }
}

TEST_P(EventLoopFileTest, AFullDiskIsAResult) {
  // A file that may not grow stands for it, and a device that is always full.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto former = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 4, .rlim_max = before.rlim_max};
  const Fd file = Open(directory_ / "a");
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_EQ(Perform(FileRequest::Write(file.get(), "123456", 6, 0)), 4) << "short";
  EXPECT_EQ(Perform(FileRequest::Write(file.get(), "56", 2, 4)), -EFBIG);
  EXPECT_EQ(Perform(FileRequest::Write(full.get(), "56", 2, 0)), -ENOSPC);
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, former);
}

TEST_P(EventLoopFileTest, AThousandAtOnceAreAllDoneOnceEach) {
  constexpr size_t kCount = 1000;
  std::string bytes;
  for (size_t i = 0; i < kCount; ++i) bytes.append(8, static_cast<char>('a' + i % 26));
  const Fd file = Open(directory_ / "a");
  size_t done = 0;
  for (size_t i = 0; i < kCount; ++i) {
    loop().StartFile(FileRequest::Write(file.get(), bytes.data() + i * 8, 8, i * 8),
                     [&](int64_t result) { done += result == 8 ? 1 : 0; });
  }
  ASSERT_TRUE(WaitUntil(loop(), [&] { return done == kCount; }));
  EXPECT_EQ(ReadFile(directory_ / "a"), bytes);

  std::vector<std::unique_ptr<char[]>> buffers(kCount);
  std::vector<int> calls(kCount);
  done = 0;
  for (size_t i = 0; i < kCount; ++i) {
    buffers[i] = std::make_unique<char[]>(8);
    loop().StartFile(FileRequest::Read(file.get(), buffers[i].get(), 8, i * 8),
                     [&, i](int64_t result) {
                       EXPECT_EQ(result, 8);
                       ++calls[i];
                       ++done;
                     });
  }
  ASSERT_TRUE(WaitUntil(loop(), [&] { return done == kCount; }));
  EXPECT_EQ(calls, std::vector<int>(kCount, 1));
  for (size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(std::string(buffers[i].get(), 8), bytes.substr(i * 8, 8));
  }
  EXPECT_LE(PoolThreads(), 4);
}

TEST_P(EventLoopFileTest, ARingNeedsNoThreads) {
  if (GetParam() != BackendKind::kIoUring) GTEST_SKIP() << "the others have nothing else";
  const Fd file = Open(directory_ / "a");
  const std::string path = directory_ / "a";
  char byte = 'x';
  EXPECT_EQ(Perform(FileRequest::Write(file.get(), &byte, 1, 0)), 1);
  EXPECT_EQ(Perform(FileRequest::Read(file.get(), &byte, 1, 0)), 1);
  EXPECT_EQ(Perform(FileRequest::Warm(file.get(), 0, 1)), 0);
  EXPECT_EQ(Perform(FileRequest::Sync(file.get())), 0);
  EXPECT_EQ(Perform(FileRequest::Rename(AT_FDCWD, path.c_str(), AT_FDCWD, path.c_str())), 0);
  EXPECT_EQ(Perform(FileRequest::Unlink(AT_FDCWD, path.c_str())), 0);
  EXPECT_EQ(PoolThreads(), 0);
}

TEST_P(EventLoopFileTest, ASmallRingTakesManyAllTheSame) {
  EventLoopOptions options;
  options.backend.kind = GetParam();
  options.backend.log = nullptr;
  options.backend.uring.sq_entries = 4;
  options.backend.uring.cq_entries = 4;
  auto small = *EventLoop::Create(std::move(options));
  WriteFile(directory_ / "a", std::string(4096, 'x'));
  const Fd file = Open(directory_ / "a", kReadOnly);
  std::vector<char> bytes(500);
  size_t done = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    small->StartFile(FileRequest::Read(file.get(), &bytes[i], 1, i), [&](int64_t result) {
      EXPECT_EQ(result, 1);
      ++done;
    });
    small->StartFile(FileRequest::Unlink(AT_FDCWD, "/nowhere/at/all"), [&](int64_t result) {
      EXPECT_EQ(result, -ENOENT);
      ++done;
    });
  }
  EXPECT_TRUE(WaitUntil(*small, [&] { return done == 1000; }));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), std::string(500, 'x'));

  // And may end in the middle of it.
  for (int i = 0; i < 500; ++i) {
    small->StartFile(FileRequest::Unlink(AT_FDCWD, "/nowhere/at/all"), [](int64_t) {});
  }
  small->RunOnce(Duration::zero());
  small.reset();
}

TEST_P(EventLoopFileTest, ATurnDeliversNoMoreThanItsBound) {
  EventLoopOptions options;
  options.backend.kind = GetParam();
  options.backend.log = nullptr;
  options.max_completions_per_turn = 3;
  const auto bounded = *EventLoop::Create(std::move(options));
  int done = 0;
  for (int i = 0; i < 20; ++i) {
    bounded->StartFile(FileRequest::Unlink(AT_FDCWD, "/nowhere/at/all"), [&](int64_t) { ++done; });
  }
  const auto deadline = bounded->clock().Now() + 20s;
  while (done < 20 && bounded->clock().Now() < deadline) {
    const int before = done;
    bounded->RunOnce(20s);
    EXPECT_LE(done - before, 3);
  }
  EXPECT_EQ(done, 20);
}

TEST_P(EventLoopFileTest, ARequestThatBlocksHoldsUpNobodyElse) {
  const Fd fifo = OpenFifo();
  char byte = 0;
  int64_t read = INT64_MIN;
  loop().StartFile(FileRequest::Read(fifo.get(), &byte, 1, FileRequest::kNoOffset),
                   [&](int64_t result) { read = result; });
  std::latch latch(1);
  int64_t called = INT64_MIN;
  loop().StartFile(FileRequest::Call([&] {
                     latch.wait();
                     return 5;
                   }),
                   [&](int64_t result) { called = result; });

  int timers = 0;
  const TimerHandle timer = loop().RunEvery(1ms, [&] { ++timers; });
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
  const Fd peer(pair[1]);
  RecordingSource source(pair[0]);
  ASSERT_TRUE(loop().backend().Add(source).ok());
  loop().backend().StartRecv(source);
  ASSERT_EQ(::write(peer.get(), "x", 1), 1);
  ASSERT_TRUE(TurnUntil([&] { return timers >= 3 && source.received() == "x"; }));
  EXPECT_EQ(Perform(FileRequest::Unlink(AT_FDCWD, "/nowhere/at/all")), -ENOENT);
  EXPECT_EQ(read, INT64_MIN);
  EXPECT_EQ(called, INT64_MIN);

  latch.count_down();
  ASSERT_EQ(::write(fifo.get(), "y", 1), 1);
  ASSERT_TRUE(TurnUntil([&] { return read == 1 && called == 5; }));
  EXPECT_EQ(byte, 'y');
  loop().Cancel(timer);
  loop().backend().Close(source, CloseMode::kClose);
  ASSERT_TRUE(TurnUntil([&] { return source.closed(); }));
}

TEST_P(EventLoopFileTest, ThreadsAreBoundedAndEndWhenThereIsNothingToDo) {
  std::latch latch(1);
  std::atomic<int> running = 0;
  int done = 0;
  for (int i = 0; i < 12; ++i) {
    loop().StartFile(FileRequest::Call([&] {
                       ++running;
                       latch.wait();
                       return 0;
                     }),
                     [&](int64_t) { ++done; });
  }
  ASSERT_TRUE(TurnUntil([&] { return running == 4; }));
  EXPECT_EQ(PoolThreads(), 4);
  latch.count_down();
  ASSERT_TRUE(TurnUntil([&] { return done == 12; }));
  EXPECT_TRUE(TurnUntil([] { return PoolThreads() == 0; }));
  EXPECT_EQ(Perform(FileRequest::Call([] { return 3; })), 3);
}

TEST_P(EventLoopFileTest, ACallbackThatThrowsIsCaught) {
  int done = 0;
  for (int i = 0; i < 3; ++i) {
    loop().StartFile(FileRequest::Sync(-1), [&](int64_t) {
      ++done;
      throw std::runtime_error("from a file's callback");
    });
    loop().StartFile(FileRequest::Call([] { return 0; }), [&](int64_t) {
      ++done;
      throw std::runtime_error("from a call's callback");
    });
  }
  ASSERT_TRUE(TurnUntil([&] { return done == 6; }));
  EXPECT_EQ(loop().stats().exceptions, 6U);
}

TEST_P(EventLoopFileTest, CallbacksStartFurtherRequests) {
  const Fd file = Open(directory_ / "a");
  int left = 200;
  const std::string text = "0123456789";
  std::function<void(int64_t)> next = [&](int64_t result) {
    EXPECT_EQ(result, 10);
    if (--left == 0) return;
    loop().StartFile(
        FileRequest::Write(file.get(), text.data(), text.size(), static_cast<uint64_t>(left) * 10),
        next);
    EXPECT_GT(left, 0);
  };
  loop().StartFile(FileRequest::Write(file.get(), text.data(), text.size(), 0), next);
  ASSERT_TRUE(TurnUntil([&] { return left == 0; }));
  EXPECT_EQ(ReadFile(directory_ / "a").size(), 2000U);
}

TEST_P(EventLoopFileTest, TheCallIsDestroyedOnTheLoopsThreadBeforeItsCallback) {
  struct Owned {
    explicit Owned(std::thread::id& at) : where(at) {}
    ~Owned() { where = std::this_thread::get_id(); }
    std::thread::id& where;
  };
  std::thread::id where;
  auto owned = std::make_unique<Owned>(where);
  std::thread::id seen;
  bool done = false;
  loop().StartFile(FileRequest::Call([owned = std::move(owned)] { return 0; }), [&](int64_t) {
    seen = where;
    done = true;
  });
  ASSERT_TRUE(TurnUntil([&] { return done; }));
  EXPECT_EQ(seen, std::this_thread::get_id());
}

// ---- The end of a loop ----

TEST_P(EventLoopFileTest, TheEndOfTheLoopDropsWhatHasNotBegun) {
  auto called = std::make_unique<bool>(false);
  auto owned = std::make_shared<std::string>(1 << 16, 'x');
  const std::weak_ptr<std::string> watch = owned;
  const Fd file = Open(directory_ / "a");
  for (int i = 0; i < 100; ++i) {
    loop().StartFile(FileRequest::Write(file.get(), owned->data(), owned->size(), 0),
                     [&, owned](int64_t) { *called = true; });
  }
  owned.reset();
  DestroyLoop();
  EXPECT_TRUE(watch.expired());
  EXPECT_FALSE(*called);
}

TEST_P(EventLoopFileTest, TheEndOfTheLoopWaitsForWhoUsesTheBuffers) {
  constexpr size_t kBytes = 1 << 20;
  WriteFile(directory_ / "a", std::string(kBytes, 'x'));
  const Fd file(::open((directory_ / "a").c_str(), O_RDONLY | O_CLOEXEC));
  for (int turns = 0; turns < 3; ++turns) {
    std::unique_ptr<EventLoop> ending = MakeLoop();
    std::vector<std::weak_ptr<std::string>> watches;
    for (int i = 0; i < 64; ++i) {
      ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
      auto buffer = std::make_shared<std::string>(kBytes / 4, 'y');
      watches.push_back(buffer);
      char* const to = buffer->data();
      ending->StartFile(FileRequest::Read(file.get(), to, kBytes / 4, 0),
                        [buffer = std::move(buffer)](int64_t) {});
    }
    // What it opens is closed again.
    ending->StartFile(FileRequest::Open(AT_FDCWD, "/dev/null", kReadOnly),
                      [](int64_t fd) { ::close(static_cast<int>(fd)); });
    for (int turn = 0; turn < turns; ++turn) ending->RunOnce(Duration::zero());
    ending.reset();
    for (const auto& watch : watches) EXPECT_TRUE(watch.expired());
  }
}

TEST_P(EventLoopFileTest, TheEndOfTheLoopWaitsForACall) {
  std::unique_ptr<EventLoop> ending = MakeLoop();
  std::latch begun(1);
  auto buffer = std::make_unique<std::string>();
  std::string* const to = buffer.get();
  bool called = false;
  ending->StartFile(FileRequest::Call([&begun, to] {
                      begun.count_down();
                      std::this_thread::sleep_for(20ms);  // so that the end has to wait
                      to->assign(100, 'x');
                      return 0;
                    }),
                    [&called, buffer = std::move(buffer)](int64_t) { called = true; });
  begun.wait();
  ending.reset();
  EXPECT_FALSE(called);
}

TEST_P(EventLoopFileTest, TheEndOfTheLoopEndsAReadThatWaitsForAFifo) {
  if (GetParam() != BackendKind::kIoUring) GTEST_SKIP() << "a thread in read(2) cannot be called";
  const Fd fifo = OpenFifo();
  std::unique_ptr<EventLoop> ending = MakeLoop();
  auto buffer = std::make_unique<char[]>(16);
  char* const to = buffer.get();
  ending->StartFile(FileRequest::Read(fifo.get(), to, 16, FileRequest::kNoOffset),
                    [buffer = std::move(buffer)](int64_t) {});
  ending->RunOnce(1ms);
  ending.reset();
  // Nobody reads any more.
  SetNonBlocking(fifo.get());
  ASSERT_EQ(::write(fifo.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(fifo.get(), &byte, 1), 1);
}

TEST_P(EventLoopFileTest, WhatACallbackOwnsMayStartMoreWhileTheLoopEnds) {
  struct Starter {
    explicit Starter(EventLoop& l) : loop(l) {}
    ~Starter() {
      loop.StartFile(FileRequest::Call([] { return 0; }), [](int64_t) { ADD_FAILURE(); });
      loop.StartFile(FileRequest::Sync(-1), [](int64_t) { ADD_FAILURE(); });
    }
    EventLoop& loop;
  };
  std::unique_ptr<EventLoop> ending = MakeLoop();
  ending->StartFile(FileRequest::Sync(-1),
                    [starter = std::make_unique<Starter>(*ending)](int64_t) {});
  ending->StartFile(FileRequest::Call([] { return 0; }),
                    [starter = std::make_unique<Starter>(*ending)](int64_t) {});
  ending.reset();
}

TEST_P(EventLoopFileTest, ALoopWhoseThreadHasEndedIsDestroyedByAnother) {
  const Fd fifo = OpenFifo();
  WriteFile(directory_ / "a", std::string(1 << 20, 'x'));
  const Fd file(::open((directory_ / "a").c_str(), O_RDONLY | O_CLOEXEC));
  std::unique_ptr<EventLoop> ending = MakeLoop();
  std::thread([&] {
    for (int i = 0; i < 32; ++i) {
      auto buffer = std::make_unique<std::string>(1 << 16, 'y');
      char* const to = buffer->data();
      ending->StartFile(FileRequest::Read(file.get(), to, 1 << 16, 0),
                        [buffer = std::move(buffer)](int64_t) {});
    }
    if (GetParam() == BackendKind::kIoUring) {
      auto buffer = std::make_unique<char[]>(16);
      char* const to = buffer.get();
      ending->StartFile(FileRequest::Read(fifo.get(), to, 16, FileRequest::kNoOffset),
                        [buffer = std::move(buffer)](int64_t) {});
    }
    ending->RunOnce(Duration::zero());
  }).join();
  ending.reset();
}

}  // namespace
}  // namespace quintet::testing
