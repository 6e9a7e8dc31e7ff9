#include "reactor/file_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/reactor/syscall_filter.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;

// Turns of a loop that knows nothing but the pool.
class FilePoolTest : public DescriptorLeakTest {
 protected:
  void Make(int max_threads, Duration idle_time = FilePool::kIdleTime) {
    pool_ = std::make_unique<FilePool>(
        max_threads, idle_time, [this] { told_.release(); },
        [this](LogLevel, std::string_view line) { log_ += line; });
  }
  void TearDown() override {
    pool_.reset();
    DescriptorLeakTest::TearDown();
  }

  void Start(absl::AnyInvocable<int64_t()> call) {
    pool_->Start(FileRequest::Call(std::move(call)),
                 [this](int64_t result) { results_.push_back(result); });
  }
  // Takes until there are so many results.
  [[nodiscard]] bool TakeUntil(size_t count) {
    while (results_.size() < count) {
      if (!told_.try_acquire_for(kPatience)) return false;
      while (auto job = pool_->Take()) job->done(job->result);
    }
    return true;
  }
  [[nodiscard]] bool ThreadsBecome(int count) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (pool_->threads() != count) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::counting_semaphore<> told_{0};
  std::string log_;
  std::vector<int64_t> results_;
  std::unique_ptr<FilePool> pool_;
};

TEST_F(FilePoolTest, StartsNoThreadBeforeThereIsWork) {
  Make(4);
  EXPECT_EQ(pool_->threads(), 0);
  EXPECT_FALSE(pool_->Take().has_value());
}

TEST_F(FilePoolTest, ThreadsAreBoundedAndAllRequestsAreDone) {
  Make(3);
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  for (int i = 0; i < 500; ++i) {
    Start([&] {
      const int now = ++running;
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::yield();
      --running;
      return 7;
    });
    EXPECT_LE(pool_->threads(), 3);
  }
  ASSERT_TRUE(TakeUntil(500));
  EXPECT_EQ(results_, std::vector<int64_t>(500, 7));
  EXPECT_LE(most, 3);
}

TEST_F(FilePoolTest, WhoWaitsForAnotherRequestIsNotHeldUpByIt) {
  Make(2);
  std::latch latch(2);
  for (int i = 0; i < 2; ++i) {
    Start([&] {
      latch.arrive_and_wait();
      return 0;
    });
  }
  ASSERT_TRUE(TakeUntil(2));
  EXPECT_EQ(pool_->threads(), 2);
}

TEST_F(FilePoolTest, AnIdleThreadIsTakenBeforeANewOne) {
  Make(4, 1h);
  for (int i = 0; i < 50; ++i) {
    Start([] { return 0; });
    ASSERT_TRUE(TakeUntil(static_cast<size_t>(i) + 1));
  }
  // It may not have been back when the next request came.
  EXPECT_LE(pool_->threads(), 2);
}

TEST_F(FilePoolTest, ThreadsEndAfterIdlingAndComeBack) {
  Make(4, 1ms);
  for (int round = 1; round <= 3; ++round) {
    std::latch latch(4);
    for (int i = 0; i < 4; ++i) {
      Start([&] {
        latch.arrive_and_wait();
        return 0;
      });
    }
    ASSERT_TRUE(TakeUntil(static_cast<size_t>(round) * 4));
    ASSERT_TRUE(ThreadsBecome(0));
  }
}

TEST_F(FilePoolTest, RequestsOnTheBrinkOfIdlenessAreNotLost) {
  Make(2, Duration(1));
  for (size_t i = 1; i <= 2000; ++i) {
    Start([] { return 0; });
    ASSERT_TRUE(TakeUntil(i));
  }
}

TEST_F(FilePoolTest, SignalsAreBlockedInTheThreads) {
  Make(1);
  sigset_t mine;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  Start([] {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return ::sigismember(&mask, SIGTERM) + 2 * ::sigismember(&mask, SIGCHLD);
  });
  ASSERT_TRUE(TakeUntil(1));
  EXPECT_EQ(results_[0], 3);
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(::sigismember(&after, SIGTERM), ::sigismember(&mine, SIGTERM));
}

TEST_F(FilePoolTest, TheEndWaitsForWhatRunsAndDropsTheRest) {
  Make(1);
  std::binary_semaphore begun{0};
  auto ran = std::make_unique<std::atomic<int>>(0);
  auto owned = std::make_shared<std::string>("what the callbacks own");
  const std::weak_ptr<std::string> watch = owned;
  bool called = false;
  for (int i = 0; i < 5; ++i) {
    pool_->Start(FileRequest::Call([&, bytes = owned.get()] {
                   if (ran->fetch_add(1) == 0) begun.release();
                   std::this_thread::sleep_for(20ms);  // so that the end has to wait
                   return static_cast<int64_t>(bytes->size());
                 }),
                 [&called, owned](int64_t) { called = true; });
  }
  owned.reset();
  begun.acquire();
  pool_.reset();
  EXPECT_TRUE(watch.expired());
  EXPECT_FALSE(called);
  EXPECT_LT(ran->load(), 5);
}

TEST_F(FilePoolTest, WhatNobodyTookIsClosed) {
  Make(1);
  const open_how how{.flags = O_RDONLY, .mode = 0, .resolve = 0};
  pool_->Start(FileRequest::Open(AT_FDCWD, "/dev/null", how), [](int64_t) {});
  ASSERT_TRUE(told_.try_acquire_for(kPatience));
}

TEST_F(FilePoolTest, WithoutThreadsRequestsArePerformedInPlace) {
  const bool filtered = RunWithSyscallRule({.number = SYS_clone3, .error = EAGAIN}, [this] {
    Make(4);
    const std::thread::id self = std::this_thread::get_id();
    for (int i = 0; i < 3; ++i) {
      Start([self] { return std::this_thread::get_id() == self ? 1 : 0; });
      EXPECT_TRUE(results_.empty());
    }
    EXPECT_TRUE(TakeUntil(3));
    EXPECT_EQ(results_, std::vector<int64_t>(3, 1));
    EXPECT_EQ(pool_->performed_in_place(), 3U);
    EXPECT_EQ(pool_->threads(), 0);
    // Said once.
    EXPECT_EQ(log_,
              "no thread can be started for file requests: EAGAIN (Resource temporarily "
              "unavailable); the loop waits for them itself");
    pool_.reset();
  });
  if (!filtered) GTEST_SKIP() << "no seccomp filters here";
}

}  // namespace
}  // namespace quintet::testing
