#include "reactor/uring_ring.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/reactor/syscall_filter.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

using std::chrono::milliseconds;
using ::testing::StartsWith;

constexpr uint32_t kNoSqArray = 1U << 16;

class UringRingTest : public ::testing::Test {
 protected:
  void SetUp() override { QUINTET_REQUIRE_URING(); }

  static std::unique_ptr<UringRing> Make(uint32_t sq_entries = 8, uint32_t cq_entries = 16) {
    auto ring = UringRing::Create({.sq_entries = sq_entries, .cq_entries = cq_entries});
    EXPECT_TRUE(ring.ok()) << ring.status();
    return ring.ok() ? *std::move(ring) : nullptr;
  }

  static void SubmitNop(UringRing& ring, uint64_t user_data) {
    io_uring_sqe* sqe = ring.NextSqe();
    ASSERT_NE(sqe, nullptr);
    io_uring_prep_nop(sqe);
    sqe->user_data = user_data;
  }

  // Submits, reaps, and expects everything to come back in order.
  static void Exercise(UringRing& ring) {
    uint64_t expected = 0;
    uint64_t sent = 0;
    for (int round = 0; round < 1000; ++round) {
      for (uint32_t i = 0; i < 1 + static_cast<uint32_t>(round) % ring.sq_entries(); ++i) {
        SubmitNop(ring, sent++);
      }
      ASSERT_GT(ring.Enter({.wait = true}), 0);
      ring.Reap([&](const io_uring_cqe& cqe) {
        ASSERT_EQ(cqe.user_data, expected++);
        ASSERT_EQ(cqe.res, 0);
      });
    }
    EXPECT_EQ(expected, sent);
  }
};

TEST_F(UringRingTest, TakesTheNewestFlagsOfThisKernel) {
  auto ring = Make();
  ASSERT_NE(ring, nullptr);
  utsname kernel{};
  ASSERT_EQ(::uname(&kernel), 0);
  int major = 0;
  int minor = 0;
  ASSERT_EQ(std::sscanf(kernel.release, "%d.%d", &major, &minor), 2);
  const int version = major * 1000 + minor;
  const bool single = (ring->setup_flags() & IORING_SETUP_SINGLE_ISSUER) != 0;
  const bool defer = (ring->setup_flags() & IORING_SETUP_DEFER_TASKRUN) != 0;
  const bool no_array = (ring->setup_flags() & kNoSqArray) != 0;
  EXPECT_TRUE(single);
  EXPECT_EQ(defer, version >= 6001);
  EXPECT_EQ(no_array, version >= 6006);
}

TEST_F(UringRingTest, SubmitsAndReapsInOrder) {
  auto ring = Make();
  ASSERT_TRUE(ring->Enable().ok());
  Exercise(*ring);
}

// The same on what older kernels offer.
TEST_F(UringRingTest, DropsFlagsOneByOne) {
  struct Kernel {
    uint32_t unknown;
    uint32_t expected;
  };
  const uint32_t base =
      IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL;
  const Kernel kernels[] = {
      {kNoSqArray, base | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN},  // 6.1
      {kNoSqArray | IORING_SETUP_DEFER_TASKRUN,
       base | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN},  // 6.0
      {kNoSqArray | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER,
       base | IORING_SETUP_COOP_TASKRUN},  // 5.19
      {kNoSqArray | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
           IORING_SETUP_COOP_TASKRUN,
       base},  // 5.18
      {kNoSqArray | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
           IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
       base & ~IORING_SETUP_SUBMIT_ALL},  // 5.17
  };
  for (const Kernel& kernel : kernels) {
    SCOPED_TRACE(kernel.unknown);
    const bool ran = RunWithoutSetupFlags(kernel.unknown, [&] {
      auto ring = Make();
      ASSERT_NE(ring, nullptr);
      EXPECT_EQ(ring->setup_flags(), kernel.expected);
      ASSERT_TRUE(ring->Enable().ok());
      Exercise(*ring);
    });
    if (!ran) GTEST_SKIP() << "no seccomp notification here";
  }
}

TEST_F(UringRingTest, SaysStepAndErrnoOfARefusedSetUp) {
  for (const int error : {ENOSYS, EPERM, EOPNOTSUPP, ENOMEM, EINVAL}) {
    const bool ran = RunWithSyscallRule({.number = __NR_io_uring_setup, .error = error}, [error] {
      auto ring = UringRing::Create({});
      ASSERT_FALSE(ring.ok());
      EXPECT_EQ(ring.status().code(), absl::StatusCode::kUnavailable);
      EXPECT_THAT(
          std::string(ring.status().message()),
          StartsWith(std::string("io_uring: io_uring_setup: ") + ::strerrorname_np(error) + " ("));
    });
    if (!ran) GTEST_SKIP() << "no seccomp filters here";
  }
}

// Containers forbid more than the set-up.
TEST_F(UringRingTest, SaysStepAndErrnoWhenTheRestIsForbidden) {
  const bool ran = RunWithSyscallRule({.number = __NR_io_uring_register, .error = EPERM}, [] {
    auto ring = UringRing::Create({});
    ASSERT_FALSE(ring.ok());
    EXPECT_THAT(std::string(ring.status().message()),
                StartsWith("io_uring: probing the operations: EPERM ("));
  });
  if (!ran) GTEST_SKIP() << "no seccomp filters here";
  RunWithSyscallRule({.number = __NR_io_uring_enter, .error = EACCES}, [] {
    auto ring = UringRing::Create({});
    ASSERT_FALSE(ring.ok());
    EXPECT_THAT(std::string(ring.status().message()),
                StartsWith("io_uring: io_uring_enter: EACCES ("));
  });
}

TEST_F(UringRingTest, HalvesTheRingWhileMemoryDoesNotSuffice) {
  const SyscallRule rule{
      .number = __NR_io_uring_setup, .error = ENOMEM, .first_argument_above = 64};
  const bool ran = RunWithSyscallRule(rule, [&] {
    auto ring = UringRing::Create({.sq_entries = 256, .cq_entries = 4096});
    ASSERT_TRUE(ring.ok()) << ring.status();
    EXPECT_EQ((*ring)->sq_entries(), 64u);
    EXPECT_EQ((*ring)->cq_entries(), 1024u);
  });
  if (!ran) GTEST_SKIP() << "no seccomp filters here";
}

// Whether the kernel counts a ring as locked memory depends on its version; the answer must be a
// ring that works or a reason.
TEST_F(UringRingTest, WorksOrGivesAReasonWithoutLockedMemory) {
  const int status = RunInChild([] {
    const rlimit none{};
    if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0 || ::setuid(65534) != 0) return 3;
    auto ring = UringRing::Create({});
    if (ring.ok()) return (*ring)->Enable().ok() ? 0 : 1;
    const std::string text(ring.status().message());
    return text.find("ENOMEM") != std::string::npos &&
                   text.find("RLIMIT_MEMLOCK is 0 bytes") != std::string::npos
               ? 0
               : 2;
  });
  if (status == 3) GTEST_SKIP() << "cannot give up privileges";
  EXPECT_EQ(status, 0);
}

TEST_F(UringRingTest, RefusesSizesThatMakeNoSense) {
  for (const UringOptions& options :
       {UringOptions{.sq_entries = 0}, UringOptions{.sq_entries = 65536, .cq_entries = 65536},
        UringOptions{.sq_entries = 64, .cq_entries = 32}, UringOptions{.cq_entries = 1U << 20}}) {
    EXPECT_EQ(UringRing::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(UringRingTest, IsDisabledUntilEnabled) {
  auto ring = Make();
  EXPECT_EQ(ring->Enter({}), -EBADFD);
  ASSERT_TRUE(ring->Enable().ok());
  EXPECT_EQ(ring->Enter({}), 0);
}

// Promise 21: made on one thread, run on another.
TEST_F(UringRingTest, BelongsToTheThreadThatEnabledIt) {
  auto ring = Make();
  std::thread([&] {
    ASSERT_TRUE(ring->Enable().ok());
    EXPECT_TRUE(ring->OnSubmitterThread());
    Exercise(*ring);
    EXPECT_TRUE(ring->MayBeUsedHere());
  }).join();
  EXPECT_FALSE(ring->OnSubmitterThread());
  EXPECT_TRUE(ring->MayBeUsedHere()) << "the owner has ended";
}

TEST_F(UringRingTest, GivesNoSubmissionWhenFull) {
  auto ring = Make(4);
  ASSERT_TRUE(ring->Enable().ok());
  for (uint64_t i = 0; i < 4; ++i) SubmitNop(*ring, i);
  EXPECT_EQ(ring->NextSqe(), nullptr);
  EXPECT_EQ(ring->unsubmitted(), 4u);
  EXPECT_EQ(ring->Enter({}), 4);
  EXPECT_EQ(ring->unsubmitted(), 0u);
  EXPECT_NE(ring->NextSqe(), nullptr);
}

TEST_F(UringRingTest, HandsOutZeroedSubmissions) {
  auto ring = Make(2);
  ASSERT_TRUE(ring->Enable().ok());
  for (int i = 0; i < 8; ++i) {
    io_uring_sqe* sqe = ring->NextSqe();
    const io_uring_sqe zero{};
    ASSERT_EQ(::memcmp(sqe, &zero, sizeof(zero)), 0);
    io_uring_prep_nop(sqe);
    sqe->user_data = ~0ULL;
    sqe->addr3 = 0;
    ASSERT_EQ(ring->Enter({}), 1);
    ring->Reap([](const io_uring_cqe&) {});
  }
}

TEST_F(UringRingTest, KeepsSubmissionsBackWhenAsked) {
  auto ring = Make();
  ASSERT_TRUE(ring->Enable().ok());
  SubmitNop(*ring, 7);
  EXPECT_EQ(ring->Enter({.submit = false, .wait = true, .timeout = milliseconds(1)}), -ETIME);
  EXPECT_EQ(ring->unsubmitted(), 1u);
  EXPECT_EQ(ring->Enter({.wait = true}), 1);
}

TEST_F(UringRingTest, TimesOutNotBeforeTheTimeout) {
  auto ring = Make();
  ASSERT_TRUE(ring->Enable().ok());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ring->Enter({.wait = true, .timeout = milliseconds(30)}), -ETIME);
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
}

TEST_F(UringRingTest, LosesNothingWhenTheCompletionQueueOverflows) {
  auto ring = Make(4, 4);
  ASSERT_TRUE(ring->Enable().ok());
  constexpr uint64_t kCount = 100;
  uint64_t sent = 0;
  bool overflown = false;
  while (sent < kCount) {
    for (int i = 0; i < 4; ++i) SubmitNop(*ring, sent++);
    const int result = ring->Enter({});
    ASSERT_TRUE(result >= 0 || result == -EBUSY) << result;
    overflown |= ring->cq_overflown();
    if (result == -EBUSY) break;
  }
  EXPECT_TRUE(overflown);
  uint64_t reaped = 0;
  for (int i = 0; i < 1000 && reaped < sent; ++i) {
    ring->Reap([&](const io_uring_cqe& cqe) { EXPECT_EQ(cqe.user_data, reaped++); });
    ring->Enter({});
  }
  EXPECT_EQ(reaped, sent);
  EXPECT_FALSE(ring->cq_overflown());
}

// A thread has 16 places for registered rings, and each holds a reference until it is given back.
TEST_F(UringRingTest, GivesItsPlaceAndDescriptorBack) {
  const size_t before = OpenDescriptors();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<UringRing>> rings;
    for (int i = 0; i < 20; ++i) {
      rings.push_back(Make(2, 4));
      ASSERT_TRUE(rings.back()->Enable().ok());
      SubmitNop(*rings.back(), 1);
      ASSERT_EQ(rings.back()->Enter({.wait = true}), 1);
    }
    EXPECT_TRUE(rings.front()->registered());
    EXPECT_FALSE(rings.back()->registered());
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace quintet
