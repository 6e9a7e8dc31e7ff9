#include "net/http/date_cache.h"

#include <chrono>
#include <string>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CountingClock final : public WallClock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    ++calls;
    return time;
  }
  std::chrono::system_clock::time_point time{};
  mutable int calls = 0;
};

constexpr TimePoint kStart{std::chrono::hours(5)};

TEST(DateCacheTest, FormatsImfFixdate) {
  CountingClock clock;
  DateCache cache(clock);
  // The example of RFC 9110 section 5.6.7.
  clock.time += seconds(784111777);
  EXPECT_EQ(cache.FieldLine(kStart), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
}

TEST(DateCacheTest, LeapDayAndTurnOfTheYear) {
  CountingClock clock;
  clock.time += seconds(1709251199);
  EXPECT_EQ(DateCache(clock).FieldLine(kStart), "Date: Thu, 29 Feb 2024 23:59:59 GMT\r\n");
  clock.time = std::chrono::system_clock::time_point(seconds(1767225600));
  EXPECT_EQ(DateCache(clock).FieldLine(kStart), "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
}

TEST(DateCacheTest, AsksForTheTimeOnceASecond) {
  CountingClock clock;
  DateCache cache(clock);
  clock.time += milliseconds(1300);
  const std::string first(cache.FieldLine(kStart));
  for (int ms = 0; ms < 700; ++ms) EXPECT_EQ(cache.FieldLine(kStart + milliseconds(ms)), first);
  EXPECT_EQ(clock.calls, 1);
  clock.time += milliseconds(700);
  EXPECT_EQ(cache.FieldLine(kStart + milliseconds(700)), "Date: Thu, 01 Jan 1970 00:00:02 GMT\r\n");
  EXPECT_EQ(clock.calls, 2);
}

TEST(DateCacheTest, FollowsAStepOfTheWallClockWithinASecond) {
  CountingClock clock;
  DateCache cache(clock);
  clock.time += seconds(784111777);
  cache.FieldLine(kStart);
  clock.time -= std::chrono::hours(1);
  EXPECT_EQ(cache.FieldLine(kStart + seconds(1)), "Date: Sun, 06 Nov 1994 07:49:37 GMT\r\n");
}

TEST(DateCacheTest, BeforeTheEpoch) {
  CountingClock clock;
  DateCache cache(clock);
  clock.time -= milliseconds(500);
  EXPECT_EQ(cache.FieldLine(kStart), "Date: Wed, 31 Dec 1969 23:59:59 GMT\r\n");
}

}  // namespace
}  // namespace quintet::http
