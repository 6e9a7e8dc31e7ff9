#include "net/files/quota.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/in_child.h"

namespace quintet::testing {
namespace {

using files::Quota;

TEST(QuotaTest, WithoutLimitsNothingIsCounted) {
  const auto quota = *Quota::Create(0, 0);
  Quota::Transfer transfer;
  Quota::Room room;
  EXPECT_TRUE(transfer.Begin(*quota));
  EXPECT_TRUE(room.Reserve(*quota, UINT64_MAX));
  EXPECT_EQ(quota->used_bytes(), 0U);
  EXPECT_EQ(quota->transfers(), 0U);
}

TEST(QuotaTest, Transfers) {
  const auto quota = *Quota::Create(0, 2);
  Quota::Transfer first;
  EXPECT_TRUE(first.Begin(*quota));
  {
    Quota::Transfer second;
    Quota::Transfer third;
    EXPECT_TRUE(second.Begin(*quota));
    EXPECT_FALSE(third.Begin(*quota));
    EXPECT_EQ(quota->transfers(), 2U);
  }
  EXPECT_EQ(quota->transfers(), 1U);
  first.End();
  first.End();
  EXPECT_EQ(quota->transfers(), 0U);
}

TEST(QuotaTest, Room) {
  const auto quota = *Quota::Create(100, 0);
  quota->SetOnDisk(40);
  {
    Quota::Room room;
    EXPECT_FALSE(room.Reserve(*quota, 61));
    EXPECT_FALSE(room.Reserve(*quota, UINT64_MAX));
    EXPECT_TRUE(room.Reserve(*quota, 60));
    EXPECT_TRUE(room.Reserve(*quota, 0));
    EXPECT_FALSE(room.Reserve(*quota, 1));
    room.Wrote(25);
    EXPECT_EQ(quota->used_bytes(), 100U);
  }
  EXPECT_EQ(quota->used_bytes(), 65U);
  quota->Freed(65);
  EXPECT_EQ(quota->used_bytes(), 0U);
  // More than was known of: the tree was changed by others.
  quota->Freed(10);
  EXPECT_EQ(quota->used_bytes(), 0U);
}

TEST(QuotaTest, AWalkCorrectsWhatIsOnTheDisk) {
  const auto quota = *Quota::Create(100, 0);
  Quota::Room room;
  ASSERT_TRUE(room.Reserve(*quota, 30));
  room.Wrote(10);
  quota->SetOnDisk(50);
  EXPECT_EQ(quota->used_bytes(), 70U) << "20 are still to be written";
}

TEST(QuotaTest, ThreadsShareIt) {
  const auto quota = *Quota::Create(1'000'000, 4);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        Quota::Transfer transfer;
        Quota::Room room;
        EXPECT_TRUE(transfer.Begin(*quota));
        EXPECT_TRUE(room.Reserve(*quota, 100));
        room.Wrote(10);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(quota->transfers(), 0U);
  EXPECT_EQ(quota->used_bytes(), 40'000U);
}

TEST(QuotaTest, ProcessesShareIt) {
  const auto quota = *Quota::Create(100, 1);
  ForkedProcess child([&] {
    Quota::Room room;
    if (!room.Reserve(*quota, 30)) return 1;
    room.Wrote(30);
    return 0;
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(quota->used_bytes(), 30U);
}

// A process that holds 99 of 100 bytes, 9 of them written, and the only transfer.
class DeadHolderTest : public ::testing::Test {
 protected:
  DeadHolderTest()
      : child_([this] {
          auto* const transfer = new Quota::Transfer;
          auto* const room = new Quota::Room;
          if (!transfer->Begin(*quota) || !room->Reserve(*quota, 99)) return 1;
          room->Wrote(9);
          held_.WriteLine("held");
          for (;;) ::pause();
        }) {
    EXPECT_EQ(held_.ReadLine(), "held");
  }
  void SignalOnly() const { child_.Signal(SIGKILL); }
  void Kill() {
    SignalOnly();
    EXPECT_EQ(child_.Wait(), 128 + SIGKILL);
  }

  const std::unique_ptr<Quota> quota = *Quota::Create(100, 1);

 private:
  const HighPipe held_;
  ForkedProcess child_;
};

TEST_F(DeadHolderTest, TransfersAreGivenBack) {
  Quota::Transfer transfer;
  EXPECT_FALSE(transfer.Begin(*quota));
  Kill();
  EXPECT_TRUE(transfer.Begin(*quota));
  EXPECT_EQ(quota->used_bytes(), 9U);
}

TEST_F(DeadHolderTest, RoomIsGivenBack) {
  Quota::Room room;
  ASSERT_TRUE(room.Reserve(*quota, 1));
  EXPECT_FALSE(room.Reserve(*quota, 1));
  Kill();
  EXPECT_FALSE(room.Reserve(*quota, 91)) << "9 are on the disk, and one is ours";
  EXPECT_TRUE(room.Reserve(*quota, 90));
  EXPECT_EQ(quota->transfers(), 0U);
}

// Dead, and waited for by nobody yet: the number is its own still.
TEST_F(DeadHolderTest, SoTheyAreWhileItIsAZombie) {
  Quota::Room room;
  SignalOnly();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool reserved = false;
  while (!reserved && std::chrono::steady_clock::now() < deadline) {
    reserved = room.Reserve(*quota, 50);
  }
  EXPECT_TRUE(reserved);
}

}  // namespace
}  // namespace quintet::testing
