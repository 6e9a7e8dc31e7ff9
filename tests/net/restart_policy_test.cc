#include "net/restart_policy.h"

#include <gtest/gtest.h>

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

TEST(RestartPolicyTest, WhoServedLongIsRestartedAtOnceEachTime) {
  RestartPolicy policy;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(policy.OnDeath(2s), Duration::zero());
}

TEST(RestartPolicyTest, PausesDoubleWhileItDiesYoung) {
  RestartPolicy policy;
  EXPECT_EQ(policy.OnDeath(10ms), Duration::zero());
  EXPECT_EQ(policy.OnDeath(10ms), 50ms);
  EXPECT_EQ(policy.OnDeath(10ms), 100ms);
  EXPECT_EQ(policy.OnDeath(10ms), 200ms);
  for (int i = 0; i < 20; ++i) static_cast<void>(policy.OnDeath(10ms));
  EXPECT_EQ(policy.OnDeath(10ms), 10s);
  EXPECT_EQ(policy.OnDeath(1s), Duration::zero()) << "it has grown old";
  EXPECT_EQ(policy.OnDeath(10ms), Duration::zero());
  EXPECT_EQ(policy.OnDeath(10ms), 50ms);
}

TEST(RestartPolicyTest, WhoNeverBecomesReadyIsGivenUp) {
  RestartPolicy policy;
  for (int i = 1; i < RestartPolicy::kMaxFailedStarts; ++i) {
    EXPECT_TRUE(policy.OnDeath(std::nullopt).has_value()) << i;
  }
  EXPECT_FALSE(policy.OnDeath(std::nullopt).has_value());
  EXPECT_FALSE(policy.OnDeath(std::nullopt).has_value())
      << "who goes on all the same is told again";
  EXPECT_TRUE(policy.OnDeath(1ms).has_value());
}

TEST(RestartPolicyTest, OneThatWasReadyBeginsToCountAnew) {
  RestartPolicy policy;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(policy.OnDeath(i % 5 == 0 ? std::optional<Duration>(1ms) : std::nullopt)) << i;
  }
}

}  // namespace
}  // namespace quintet::testing
