#include "net/place_counters.h"

#include <gtest/gtest.h>

#include "tests/support/in_child.h"

namespace quintet::testing {
namespace {

using std::chrono::seconds;

TEST(PlaceCountersTest, AreSharedWithAForkedProcess) {
  PlaceCounters place;
  const auto counters = place.Add();
  ASSERT_NE(counters, nullptr);
  ForkedProcess process([&] {
    ConnectionCounters::Add(counters[0].connections.opened, 5);
    ConnectionCounters::Add(counters[0].connections.active, 3);
    return 0;
  });
  ASSERT_EQ(process.Wait(), 0);
  EXPECT_EQ(place.Sum().accepted, 5U);
  EXPECT_EQ(place.Sum().active, 3U);
}

TEST(PlaceCountersTest, EachHasItsOwnAndAllAreSummed) {
  PlaceCounters place;
  const auto leaver = place.Add();
  const auto successor = place.Add();
  leaver[0].connections.opened = 1;
  leaver[0].connections.active = 1;
  leaver[0].connections.refused = 2;
  leaver[0].gauges.Record(seconds(2), seconds(1));
  successor[0].connections.opened = 10;
  successor[0].connections.active = 4;
  successor[0].gauges.Record(seconds(1), seconds(1));
  const ShardStats sum = place.Sum();
  EXPECT_EQ(sum.accepted, 13U);
  EXPECT_EQ(sum.active, 5U);
  EXPECT_EQ(sum.refused, 2U);
  EXPECT_EQ(sum.stalls, 2U);
  EXPECT_EQ(sum.longest_turn, seconds(2));
}

TEST(PlaceCountersTest, OfAProcessThatHasEndedAllButItsConnectionsStays) {
  PlaceCounters place;
  const auto first = place.Add();
  const auto second = place.Add();
  for (const auto& counters : {first, second}) {
    ConnectionCounters& connections = counters[0].connections;
    connections.opened = 3;
    connections.active = 2;
    connections.bytes_in = 100;
    connections.bytes_out = 200;
    connections.refused = 1;
    counters[0].proxy_errors = 4;
    counters[0].accept_pauses = 5;
    counters[0].empty_accepts = 6;
    counters[0].gauges.Record(seconds(3), seconds(1));
  }
  place.Retire(first.get());
  EXPECT_EQ(place.Sum().active, 2U);
  place.Retire(second.get());
  const ShardStats sum = place.Sum();
  EXPECT_EQ(sum.active, 0U);
  EXPECT_EQ(sum.accepted, 8U);
  EXPECT_EQ(sum.bytes_in, 200U);
  EXPECT_EQ(sum.bytes_out, 400U);
  EXPECT_EQ(sum.refused, 2U);
  EXPECT_EQ(sum.proxy_errors, 8U);
  EXPECT_EQ(sum.accept_pauses, 10U);
  EXPECT_EQ(sum.empty_accepts, 12U);
  EXPECT_EQ(sum.stalls, 2U);
  EXPECT_EQ(sum.longest_turn, seconds(3));
  EXPECT_EQ(sum.busy_turns[LoopGauges::BucketOf(seconds(3))], 2U);
}

}  // namespace
}  // namespace quintet::testing
