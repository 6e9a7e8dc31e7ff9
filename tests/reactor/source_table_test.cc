#include "reactor/source_table.h"

#include <gtest/gtest.h>

#include "tests/support/recording_source.h"

namespace quintet::testing {
namespace {

struct State {
  int value = 7;
};

TEST(SourceTableTest, InsertNamesTheSourceAndGivesFreshState) {
  SourceTable<State> table;
  RecordingSource a(10);
  RecordingSource b(11);
  const uint32_t slot = table.Insert(a);
  EXPECT_TRUE(a.attached());
  EXPECT_EQ(a.id().slot, slot);
  EXPECT_EQ(table.SlotOf(a), slot);
  EXPECT_EQ(table.source(slot), &a);
  EXPECT_EQ(table[slot].value, 7);
  EXPECT_NE(table.Insert(b), slot);
  EXPECT_EQ(table.size(), 2U);
  for (RecordingSource* source : {&a, &b}) {
    table.ForgetFd(table.SlotOf(*source), source->fd());
    table.Erase(table.SlotOf(*source));
  }
  EXPECT_EQ(table.size(), 0U);
}

TEST(SourceTableTest, NameOfAnErasedSourceIsStaleAlsoWhenTheSlotIsReused) {
  SourceTable<State> table;
  RecordingSource a(10);
  RecordingSource b(10);
  const uint32_t slot = table.Insert(a);
  const SourceId old = a.id();
  EXPECT_TRUE(table.IsCurrent(old));
  table[slot].value = 1;
  table.ForgetFd(slot, 10);
  table.Erase(slot);
  EXPECT_FALSE(a.attached());
  EXPECT_FALSE(table.IsCurrent(old));
  EXPECT_EQ(table.source(slot), nullptr);
  ASSERT_EQ(table.Insert(b), slot);
  EXPECT_FALSE(table.IsCurrent(old));
  EXPECT_TRUE(table.IsCurrent(b.id()));
  EXPECT_EQ(table[slot].value, 7);
  table.ForgetFd(slot, 10);
  table.Erase(slot);
  EXPECT_FALSE(table.IsCurrent(SourceId()));
}

TEST(SourceTableTest, NumberOfADescriptorMayComeAgainBeforeItsSlotIsFree) {
  SourceTable<State> table;
  RecordingSource closing(10);
  RecordingSource next(10);
  const uint32_t slot = table.Insert(closing);
  EXPECT_TRUE(table.KnowsFd(10));
  EXPECT_FALSE(table.KnowsFd(9));
  EXPECT_FALSE(table.KnowsFd(100'000));
  table.ForgetFd(slot, 10);
  EXPECT_FALSE(table.KnowsFd(10));
  table.Insert(next);
  table.ForgetFd(slot, 10);  // not its any more
  EXPECT_TRUE(table.KnowsFd(10));
  table.Erase(slot);
  EXPECT_TRUE(table.KnowsFd(10));
  table.ForgetFd(table.SlotOf(next), 10);
  EXPECT_FALSE(table.KnowsFd(10));
  table.Erase(table.SlotOf(next));
}

}  // namespace
}  // namespace quintet::testing
