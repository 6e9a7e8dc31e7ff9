#include "net/models/kill_timer.h"

#include <gtest/gtest.h>

#include <chrono>

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart = TimePoint() + 1h;
constexpr Duration kGrace = ModelServer::kKillGrace;
constexpr Duration kAbortGrace = ModelServer::kAbortGrace;

TEST(KillTimerTest, NothingIsDueBeforeTheDrainIsOver) {
  KillTimer timer;
  EXPECT_FALSE(timer.Due(EndStage::kServing, kStart));
  EXPECT_FALSE(timer.Due(EndStage::kDraining, kStart + 1h));
  EXPECT_EQ(timer.next(), kNever);
}

TEST(KillTimerTest, DueAfterTheGraceAndAgainAfterEachFurther) {
  KillTimer timer;
  EXPECT_FALSE(timer.Due(EndStage::kOver, kStart));
  EXPECT_EQ(timer.next(), kStart + kGrace);
  EXPECT_FALSE(timer.Due(EndStage::kOver, kStart + kGrace - 1ns));
  EXPECT_TRUE(timer.Due(EndStage::kOver, kStart + kGrace));
  EXPECT_EQ(timer.next(), kStart + 2 * kGrace);
  EXPECT_FALSE(timer.Due(EndStage::kOver, kStart + kGrace));
  EXPECT_TRUE(timer.Due(EndStage::kOver, kStart + 2 * kGrace));
}

TEST(KillTimerTest, AnAbortHasAShorterGrace) {
  static_assert(kAbortGrace < kGrace);
  KillTimer timer;
  EXPECT_FALSE(timer.Due(EndStage::kAborted, kStart));
  EXPECT_EQ(timer.next(), kStart + kAbortGrace);
  EXPECT_TRUE(timer.Due(EndStage::kAborted, kStart + kAbortGrace));
  EXPECT_EQ(timer.next(), kStart + 2 * kAbortGrace);
}

TEST(KillTimerTest, AnAbortShortensAndNeverLengthens) {
  KillTimer shortened;
  EXPECT_FALSE(shortened.Due(EndStage::kOver, kStart));
  EXPECT_FALSE(shortened.Due(EndStage::kAborted, kStart + 1ms));
  EXPECT_EQ(shortened.next(), kStart + 1ms + kAbortGrace);
  KillTimer late;
  EXPECT_FALSE(late.Due(EndStage::kOver, kStart));
  EXPECT_FALSE(late.Due(EndStage::kAborted, kStart + kGrace - 1ms));
  EXPECT_EQ(late.next(), kStart + kGrace);
}

}  // namespace
}  // namespace quintet::testing
