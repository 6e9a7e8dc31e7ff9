#include "reactor/uring_files.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reactor/uring_source.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

using Fate = UringFiles::Fate;

// A table whose kernel is the test.
class UringFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    QUINTET_REQUIRE_URING();
    auto ring = UringRing::Create({.sq_entries = 8, .cq_entries = 8});
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
  }
  void TearDown() override { files_.Clear(); }

  void Add(FileRequest request) {
    FileDone done = [this](int64_t result) { told_.push_back(result); };
    ASSERT_TRUE(files_.Add(*ring_, request, done));
    files_.Validate();
  }
  io_uring_sqe Prepare() {
    io_uring_sqe sqe{};
    files_.Prepare(&sqe);
    name_ = UringName::Unpack(sqe.user_data);
    EXPECT_EQ(name_.op, UringOp::kFile);
    files_.Validate();
    return sqe;
  }
  Fate Answer(int32_t result) {
    const Fate fate = files_.OnResult(name_.id, result);
    files_.Validate();
    return fate;
  }
  bool Deliver() {
    Completion completion;
    if (!files_.Deliver(name_.id.slot, &completion)) return false;
    files_.Validate();
    EXPECT_EQ(completion.op, Op::kFile);
    completion.source->OnCompletion(completion);
    return true;
  }

  std::unique_ptr<UringRing> ring_;
  UringFiles files_;
  UringName name_{};
  std::vector<int64_t> told_;
};

TEST_F(UringFilesTest, WhatTheRingHasNoOperationForStaysTheCallers) {
  FileRequest request = FileRequest::Call([] { return 7; });
  FileDone done = [](int64_t) {};
  EXPECT_FALSE(files_.Add(*ring_, request, done));
  EXPECT_TRUE(done != nullptr);
  EXPECT_EQ(PerformFileRequest(request), 7);
}

TEST_F(UringFilesTest, InterruptedIsSubmittedAgainAtOnce) {
  char byte;
  Add(FileRequest::Read(0, &byte, 1, 9));
  for (int i = 0; i < 100; ++i) {
    const io_uring_sqe sqe = Prepare();
    EXPECT_EQ(sqe.off, 9U);
    EXPECT_EQ(Answer(-EINTR), Fate::kAgain);
    EXPECT_TRUE(files_.has_waiting());
  }
  Prepare();
  EXPECT_EQ(Answer(1), Fate::kOver);
  EXPECT_TRUE(Deliver());
  EXPECT_FALSE(Deliver());
  EXPECT_EQ(told_, std::vector<int64_t>{1});
}

TEST_F(UringFilesTest, ExhaustionRestsAFewTimesAndIsToldThen) {
  for (const int error : {EAGAIN, ENOMEM, ENOBUFS, ECANCELED}) {
    Add(FileRequest::Sync(0));
    for (int i = 0; i < 5; ++i) {
      Prepare();
      EXPECT_EQ(Answer(-error), Fate::kRests);
      EXPECT_FALSE(files_.has_waiting());
      files_.EndRest();
    }
    Prepare();
    EXPECT_EQ(Answer(-error), Fate::kOver);
    EXPECT_TRUE(Deliver());
    EXPECT_EQ(told_.back(), -error);
  }
  EXPECT_EQ(told_.size(), 4U);
}

TEST_F(UringFilesTest, WhoAsksForAnOpenThatDoesNotBlockIsToldAtOnce) {
  Add(FileRequest::Open(AT_FDCWD, "a", {.flags = 0, .mode = 0, .resolve = RESOLVE_CACHED}));
  Prepare();
  EXPECT_EQ(Answer(-EAGAIN), Fate::kOver);
}

TEST_F(UringFilesTest, WarmingGoesOnWhereTheReadEnded) {
  Add(FileRequest::Warm(0, 1000, 300'000));
  EXPECT_EQ(Prepare().len, 128U << 10);
  EXPECT_EQ(Answer(100'000), Fate::kAgain);
  const io_uring_sqe second = Prepare();
  EXPECT_EQ(second.off, 101'000U);
  EXPECT_EQ(Answer(128 << 10), Fate::kAgain);
  EXPECT_EQ(Prepare().len, 200'000U - (128U << 10));
  EXPECT_EQ(Answer(200'000 - (128 << 10)), Fate::kOver);
  EXPECT_TRUE(Deliver());
  Add(FileRequest::Warm(0, 0, 300'000));
  Prepare();
  EXPECT_EQ(Answer(5000), Fate::kAgain);
  Prepare();
  EXPECT_EQ(Answer(0), Fate::kOver) << "the end of the file";
  EXPECT_TRUE(Deliver());
  EXPECT_EQ(told_, (std::vector<int64_t>{0, 0}));
}

TEST_F(UringFilesTest, NothingIsTriedAgainAtTheEnd) {
  for (const int error : {EINTR, ECANCELED, ENOMEM}) {
    Add(FileRequest::Sync(0));
    Prepare();
    Add(FileRequest::Sync(0));
    files_.BeginEnd();
    EXPECT_FALSE(files_.has_waiting());
    EXPECT_EQ(files_.in_flight(), 1U);
    EXPECT_EQ(files_.OnResult(name_.id, -error), Fate::kOver);
    files_.Clear();
    EXPECT_FALSE(Deliver()) << "the turn of one that is gone";
  }
  EXPECT_TRUE(told_.empty());
}

TEST_F(UringFilesTest, CancelsEachInFlightOnceUnlessThatFailed) {
  for (int i = 0; i < 3; ++i) {
    Add(FileRequest::Sync(0));
    Prepare();
  }
  files_.BeginEnd();
  std::vector<io_uring_sqe> sqes(10);
  size_t used = 0;
  const auto next = [&] { return &sqes[used++]; };
  files_.CancelAll(next);
  EXPECT_EQ(used, 3U);
  EXPECT_EQ(UringName::Unpack(sqes[2].user_data).op, UringOp::kFileCancel);
  EXPECT_EQ(UringName::Unpack(sqes[2].addr).op, UringOp::kFile);
  files_.CancelAll(next);
  EXPECT_EQ(used, 3U);
  files_.OnCancelFailed(UringName::Unpack(sqes[1].user_data).id);
  files_.CancelAll(next);
  EXPECT_EQ(used, 4U);
  files_.CancelAll([]() -> io_uring_sqe* { return nullptr; });
  files_.Abandon();
  EXPECT_EQ(files_.in_flight(), 0U);
}

TEST_F(UringFilesTest, SlotsAreUsedAgainUnderANewName) {
  Add(FileRequest::Sync(0));
  Prepare();
  const SourceId first = name_.id;
  Answer(0);
  EXPECT_TRUE(Deliver());
  Add(FileRequest::Sync(0));
  Prepare();
  EXPECT_EQ(name_.id.slot, first.slot);
  EXPECT_NE(name_.id.generation, first.generation);
  Answer(0);
}

}  // namespace
}  // namespace quintet
