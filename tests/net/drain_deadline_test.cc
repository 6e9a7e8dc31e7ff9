#include "net/drain_deadline.h"

#include <gtest/gtest.h>

#include <chrono>

namespace quintet {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow = TimePoint(100s);

TEST(DrainDeadlineTest, WithoutAPlanOrATimeoutThereIsNone) {
  DrainDeadline deadline;
  EXPECT_EQ(deadline.Left(kNow), DrainPlan::kNoTimeout);
  deadline.Add({.delay = 5s, .timeout = DrainPlan::kNoTimeout}, kNow);
  EXPECT_EQ(deadline.at(), kNever);
  EXPECT_EQ(deadline.Left(kNow), DrainPlan::kNoTimeout);
}

TEST(DrainDeadlineTest, TheEarliestStays) {
  DrainDeadline deadline;
  deadline.Add({.delay = 60s, .timeout = 10s}, kNow);
  EXPECT_EQ(deadline.at(), kNow + 70s);
  deadline.Add({.timeout = DrainPlan::kNoTimeout}, kNow + 5s);
  EXPECT_EQ(deadline.Left(kNow + 5s), 65s);
  deadline.Add({.delay = 1s, .timeout = 2s}, kNow + 5s);
  EXPECT_EQ(deadline.Left(kNow + 5s), 3s);
  deadline.Add({.timeout = 30s}, kNow + 6s);
  EXPECT_EQ(deadline.at(), kNow + 8s);
}

TEST(DrainDeadlineTest, OnlyWhoStopsHasADelay) {
  DrainDeadline deadline;
  deadline.Add({.delay = 60s, .timeout = 10s, .stopping = false}, kNow);
  EXPECT_EQ(deadline.at(), kNow + 10s);
}

TEST(DrainDeadlineTest, WhatIsLeftIsNeverNothing) {
  DrainDeadline deadline;
  deadline.Add({.timeout = 1s}, kNow);
  EXPECT_GT(deadline.Left(kNow + 1s), Duration::zero());
  EXPECT_GT(deadline.Left(kNow + 9s), Duration::zero());
}

}  // namespace
}  // namespace quintet
