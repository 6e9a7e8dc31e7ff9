#include "net/limited_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/net/sim_fixture.h"

namespace quintet::testing {
namespace {

using ::testing::ElementsAre;

class LimitedLogTest : public SimTest {};

TEST_F(LimitedLogTest, WritesOneLineInEachIntervalAndCountsTheOthers) {
  LimitedLog limited(*loop);
  int made = 0;
  const auto write = [&] {
    limited.Write(LogLevel::kWarning, [&] { return "line " + std::to_string(++made); });
  };
  write();
  write();
  write();
  EXPECT_THAT(log, ElementsAre("line 1"));
  RunFor(LimitedLog::kInterval);
  write();
  write();
  RunFor(LimitedLog::kInterval * 10);
  write();
  RunFor(LimitedLog::kInterval);
  write();
  EXPECT_THAT(log, ElementsAre("line 1", "line 2 (2 more were not logged)",
                               "line 3 (1 more were not logged)", "line 4"));
  EXPECT_EQ(made, 4) << "text was made for nobody";
}

}  // namespace
}  // namespace quintet::testing
