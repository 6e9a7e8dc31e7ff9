#include "net/models/end_schedule.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <vector>

#include "net/models/end_board.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

class ManualClock final : public Clock {
 public:
  TimePoint Now() override { return now; }
  TimePoint now{1h};
};

bool IsReadable(int fd) {
  pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, 0) == 1;
}

class EndScheduleTest : public DescriptorLeakTest {
 protected:
  void SetUp() override {
    schedule = *EndSchedule::Create({.delay = 0s, .timeout = 10s}, clock);
    schedule->set_on_change([this] { changes.push_back(schedule->stage()); });
  }
  void TearDown() override {
    schedule.reset();
    DescriptorLeakTest::TearDown();
  }
  EndStage LookAfter(Duration pause) {
    clock.now += pause;
    schedule->Look();
    return schedule->stage();
  }

  ManualClock clock;
  std::unique_ptr<EndSchedule> schedule;
  std::vector<EndStage> changes;
};

TEST_F(EndScheduleTest, NothingHappensUnasked) {
  EXPECT_EQ(LookAfter(1h), EndStage::kServing);
  EXPECT_FALSE(schedule->stopping());
  EXPECT_EQ(schedule->next(), kNever);
  EXPECT_FALSE(IsReadable(schedule->fd(EndStage::kServing)));
  EXPECT_TRUE(changes.empty());
}

TEST_F(EndScheduleTest, StopDrainsByItsPlan) {
  schedule->Stop();
  EXPECT_TRUE(IsReadable(schedule->fd(EndStage::kServing)));
  EXPECT_EQ(LookAfter(0s), EndStage::kDraining);
  EXPECT_TRUE(schedule->stopping());
  EXPECT_FALSE(IsReadable(schedule->fd(EndStage::kDraining)));
  EXPECT_EQ(schedule->next(), clock.now + 10s);
  EXPECT_EQ(LookAfter(9s), EndStage::kDraining);
  schedule->Stop();  // does not begin anew
  EXPECT_EQ(LookAfter(1s), EndStage::kOver);
  EXPECT_EQ(schedule->next(), kNever);
  EXPECT_EQ(changes, (std::vector{EndStage::kDraining, EndStage::kOver}));
}

TEST_F(EndScheduleTest, ADelayAnnouncesFirst) {
  schedule->Drain({.delay = 5s, .timeout = 2s});
  EXPECT_EQ(LookAfter(0s), EndStage::kServing);
  EXPECT_TRUE(schedule->stopping());
  schedule->Drain({.delay = 50s, .timeout = 20s});  // not longer
  EXPECT_EQ(LookAfter(4s), EndStage::kServing);
  EXPECT_EQ(schedule->next(), clock.now + 1s);
  EXPECT_EQ(LookAfter(1s), EndStage::kDraining);
  EXPECT_EQ(LookAfter(2s), EndStage::kOver);
}

TEST_F(EndScheduleTest, WhoIsReplacedIsNotStopping) {
  schedule->Drain({.delay = 5s, .timeout = 2s, .stopping = false});
  EXPECT_EQ(LookAfter(0s), EndStage::kDraining);
  EXPECT_FALSE(schedule->stopping());
}

TEST_F(EndScheduleTest, ALaterPlanOnlyShortens) {
  schedule->Drain({.timeout = DrainPlan::kNoTimeout});
  EXPECT_EQ(LookAfter(0s), EndStage::kDraining);
  EXPECT_EQ(schedule->next(), kNever);
  schedule->Drain({.timeout = 3s});
  schedule->Drain({.timeout = 30s});
  EXPECT_EQ(LookAfter(0s), EndStage::kDraining);
  EXPECT_EQ(schedule->next(), clock.now + 3s);
  schedule->Drain({.timeout = 0s});
  EXPECT_EQ(LookAfter(0s), EndStage::kAborted);
}

TEST_F(EndScheduleTest, StopAndDrainAtOnceAreBothHeard) {
  schedule->Drain({.timeout = DrainPlan::kNoTimeout, .stopping = false});
  schedule->Stop();
  EXPECT_EQ(LookAfter(0s), EndStage::kDraining);
  EXPECT_TRUE(schedule->stopping());
  EXPECT_EQ(schedule->next(), clock.now + 10s);
}

TEST_F(EndScheduleTest, AChildMayStop) {
  const pid_t child = ::fork();
  if (child == 0) {
    schedule->Stop();
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(LookAfter(0s), EndStage::kDraining);
}

TEST(EndBoardTest, WakesWhoeverHasNotSeenIt) {
  const DescriptorLeakCheck leaks;
  {
    EndNotice notice;
    auto board = *EndBoard::Create(notice);
    EXPECT_EQ(board->stage(), EndStage::kServing);
    EXPECT_FALSE(IsReadable(board->fd(EndStage::kServing)));
    board->Show(EndStage::kServing, /*stopping=*/true);
    EXPECT_TRUE(board->stopping());
    EXPECT_FALSE(IsReadable(board->fd(EndStage::kServing)));
    board->Show(EndStage::kDraining, true);
    // Every one of them, as often as they like.
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(IsReadable(board->fd(EndStage::kServing)));
    EXPECT_FALSE(IsReadable(board->fd(EndStage::kDraining)));
    board->Show(EndStage::kOver, true);
    EXPECT_TRUE(IsReadable(board->fd(EndStage::kDraining)));
    EXPECT_EQ(board->fd(EndStage::kOver), -1);
    EXPECT_EQ(board->stage(), EndStage::kOver);
  }
  leaks.ExpectNoneLeaked();
}

}  // namespace
}  // namespace quintet::testing
