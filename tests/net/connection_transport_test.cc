// The Transport side of Connection in virtual time: output and its marks, input and its pauses,
// deadlines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "net/connection.h"
#include "tests/net/sim_fixture.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using State = Connection::State;
using ::testing::ElementsAre;

class ConnectionTransportTest : public SendModeTest {
 protected:
  // As a program does: without the returns of RunFor(), after each of which a wait has ended.
  void RunWithoutReturning(Duration duration) {
    loop->RunAfter(duration, [this] { loop->Stop(); });
    loop->Run();
  }
};

// ---- Output ----

INSTANTIATE_TEST_SUITE_P(Sends, ConnectionTransportTest, SendModes(), SendModeName);

TEST_P(ConnectionTransportTest, OutputOfOneTurnLeavesInOneSend) {
  Adopt();
  script.on_data = [](Transport& transport, std::string_view bytes) {
    for (int i = 0; i < 100; ++i) transport.Write("0123456789");
    return bytes.size();
  };
  int pieces = 0;
  peer->set_on_receive([&](std::string_view) { ++pieces; });
  peer->Send("go");
  RunFor(10ms);
  EXPECT_EQ(peer->received().size(), 1000U);
  EXPECT_EQ(pieces, 1);
  connection->Write("a");
  connection->Write("b");
  RunFor(10ms);
  EXPECT_EQ(pieces, 2);
}

// Nothing else happens that would end a wait.
TEST_P(ConnectionTransportTest, OutputBehindASendOfTheSameTurnFollowsIt) {
  Adopt();
  script.on_data = [this](Transport& transport, std::string_view bytes) {
    transport.Write("first ");
    loop->Defer([this] { connection->Write("second"); });
    return bytes.size();
  };
  peer->Send("go");
  RunWithoutReturning(50ms);
  EXPECT_EQ(peer->received(), "first second");
}

TEST_P(ConnectionTransportTest, BlockedSessionHearsOfRoomAtOnce) {
  options.output_high_mark = 10;
  options.output_low_mark = 5;
  Adopt();
  RunFor(1ms);
  script.on_drained = [](Transport& transport) { transport.Write(" and on"); };
  connection->Write("more than the mark");
  RunWithoutReturning(50ms);
  EXPECT_EQ(script.Count("drained"), 1U);
  EXPECT_EQ(peer->received(), "more than the mark and on");
}

TEST_P(ConnectionTransportTest, WatermarksFireOncePerCrossing) {
  options.output_high_mark = 1000;
  options.output_low_mark = 100;
  network.mutable_options().window_bytes = 50;
  Adopt();
  peer->StopReading();
  connection->Write(std::string(1000, 'a'));
  EXPECT_FALSE(connection->output_blocked());  // at the mark is not above it
  connection->Write("b");
  EXPECT_TRUE(connection->output_blocked());
  RunFor(10ms);
  EXPECT_EQ(connection->output_bytes(), 951U);
  peer->Send("held back");
  RunFor(10ms);
  EXPECT_EQ(script.Count("data"), 0U);
  EXPECT_EQ(group->counters().bytes_in, 0U);
  size_t left_when_drained = 0;
  script.on_drained = [&](Transport& transport) {
    left_when_drained = transport.output_bytes();
    EXPECT_FALSE(transport.output_blocked());
  };
  peer->StartReading();
  RunFor(50ms);
  EXPECT_EQ(script.Count("drained"), 1U);
  EXPECT_LE(left_when_drained, 100U);
  EXPECT_GT(left_when_drained, 50U);  // told at once, not when all is gone
  EXPECT_EQ(script.received, "held back");
  EXPECT_EQ(connection->output_bytes(), 0U);

  connection->Write(std::string(900, 'c'));
  RunFor(50ms);
  EXPECT_EQ(script.Count("drained"), 1U);
  connection->Write(std::string(1001, 'd'));
  RunFor(50ms);
  EXPECT_EQ(script.Count("drained"), 2U);
}

TEST_P(ConnectionTransportTest, MoreOutputThanTheCapAborts) {
  options.output_cap = 100'000;
  Adopt();
  peer->StopReading();
  network.mutable_options().window_bytes = 1;
  connection->Write(std::string(100'000, 'x'));
  RunFor(1ms);
  EXPECT_EQ(connection->state(), State::kOpen);
  connection->Write("xx");
  EXPECT_EQ(connection->state(), State::kClosing);
  ExpectClosed(CloseReason::kOutputLimit);
}

TEST_P(ConnectionTransportTest, BytesInFlightAreLeftAlone) {
  Adopt();
  backend->set_hold_sends(true);
  connection->Write("first");
  RunFor(1ms);
  // The simulator compares what is behind the send: appending must go elsewhere.
  for (int i = 0; i < 100; ++i) connection->Write(std::string(1000, 'y'));
  // Nor may its block have gone back to the pool.
  const Block block = group->pool().Take(1);
  std::memset(block.data, 'z', block.capacity);
  group->pool().Give(block);
  RunFor(1ms);
  backend->set_hold_sends(false);
  RunFor(50ms);
  EXPECT_EQ(peer->received(), "first" + std::string(100'000, 'y'));
}

TEST_P(ConnectionTransportTest, WriteStallIsPutOffByProgress) {
  options.write_stall_timeout = 1s;
  network.mutable_options().window_bytes = 10;
  Adopt();
  peer->StopReading();
  connection->Write(std::string(100, 'x'));
  for (int i = 0; i < 5; ++i) {
    RunFor(900ms);
    ASSERT_FALSE(script.closed());
    peer->StartReading();
    peer->StopReading();
  }
  const TimePoint start = network.Now();
  ExpectClosed(CloseReason::kWriteStall);
  EXPECT_GE(network.Now() - start, 1s);
  EXPECT_LE(network.Now() - start, 1s + 10ms);
}

TEST_P(ConnectionTransportTest, NoWriteStallOnceAllIsSent) {
  options.write_stall_timeout = 1s;
  Adopt();
  connection->Write("all of it");
  RunFor(10s);
  EXPECT_EQ(peer->received(), "all of it");
  EXPECT_EQ(connection->state(), State::kOpen);
}

// The stall counts from the write, not from the last time the loop had something to do.
TEST_P(ConnectionTransportTest, StallAndLingerCountFromThePresent) {
  options.write_stall_timeout = 1s;
  options.linger_timeout = 1s;
  Adopt();
  RunFor(1ms);
  network.clock().AdvanceTo(network.Now() + 10s);
  backend->set_hold_sends(true);
  connection->Write("x");
  RunFor(500ms);
  ASSERT_FALSE(script.closed());
  backend->set_hold_sends(false);
  RunFor(10ms);
  network.clock().AdvanceTo(network.Now() + 10s);
  connection->Close();
  RunFor(500ms);
  ASSERT_FALSE(script.closed());
  EXPECT_EQ(connection->state(), State::kLingering);
}

// A callback may take longer than the deadline that it starts: the peer gets its time all the same.
TEST_P(ConnectionTransportTest, StallCountsFromTheWriteWhenItsCallbackTookLong) {
  options.write_stall_timeout = 1s;
  Adopt();
  backend->set_hold_sends(true);
  script.on_data = [this](Transport& transport, std::string_view bytes) {
    network.clock().AdvanceTo(network.Now() + 10s);
    transport.Write("x");
    return bytes.size();
  };
  peer->Send("?");
  ASSERT_TRUE(RunUntil([this] { return script.Count("data") == 1; }));
  RunFor(500ms);
  EXPECT_FALSE(script.closed());
}

// ---- Input ----

TEST_P(ConnectionTransportTest, WhatIsNotConsumedWaitsForResume) {
  Adopt();
  script.on_data = [](Transport&, std::string_view) -> size_t { return 2; };
  peer->Send("abcdef");
  RunFor(10ms);
  EXPECT_EQ(script.received, "ab");
  peer->Send("ghi");
  RunFor(10ms);
  EXPECT_EQ(script.Count("data"), 1U);
  connection->ResumeReading();
  RunFor(10ms);
  EXPECT_EQ(script.received, "abcd");
  script.on_data = nullptr;
  connection->ResumeReading();
  RunFor(10ms);
  EXPECT_EQ(script.received, "abcdefghi");
}

TEST_P(ConnectionTransportTest, EofWaitsForTheInputBeforeIt) {
  Adopt();
  script.on_data = [](Transport& transport, std::string_view bytes) {
    transport.PauseReading();
    return bytes.size() / 2;
  };
  peer->Send("abcdefgh");
  peer->ShutdownSend();
  RunFor(100ms);
  EXPECT_EQ(script.received, "abcd");
  EXPECT_EQ(script.Count("eof"), 0U);
  script.on_data = nullptr;
  connection->ResumeReading();
  ExpectClosed(CloseReason::kPeerClosed);
  EXPECT_EQ(script.received, "abcdefgh");
  EXPECT_THAT(script.calls, ElementsAre("open", "data", "data", "eof", "closed"));
}

TEST_P(ConnectionTransportTest, PausedFromTheStart) {
  script.on_open = [](Transport& transport) { transport.PauseReading(); };
  Adopt();
  peer->Send("abc");
  RunFor(100ms);
  EXPECT_EQ(script.Count("data"), 0U);
  EXPECT_EQ(group->counters().bytes_in, 0U);
  connection->ResumeReading();
  RunFor(10ms);
  EXPECT_EQ(script.received, "abc");
}

TEST_P(ConnectionTransportTest, KeptInputWaitsUntilTheOutputHasDrained) {
  options.output_high_mark = 1000;
  options.output_low_mark = 100;
  network.mutable_options().window_bytes = 50;
  Adopt();
  script.on_data = [](Transport&, std::string_view) -> size_t { return 0; };
  peer->Send("kept");
  RunFor(10ms);
  ASSERT_EQ(script.Count("data"), 1U);
  script.on_data = nullptr;
  peer->StopReading();
  connection->Write(std::string(2000, 'x'));
  connection->ResumeReading();
  RunFor(10ms);
  EXPECT_EQ(script.Count("data"), 1U);
  peer->StartReading();
  RunFor(50ms);
  EXPECT_EQ(script.received, "kept");
  EXPECT_THAT(script.calls, ElementsAre("open", "data", "drained", "data"));
}

// OnDrain() is the last callback of a settlement: what it resumes must not be forgotten.
TEST_P(ConnectionTransportTest, ResumedByOnDrain) {
  Adopt();
  script.on_data = [](Transport&, std::string_view) -> size_t { return 1; };
  peer->Send("ab");
  RunFor(10ms);
  script.on_data = nullptr;
  script.on_drain = [](Transport& transport) { transport.ResumeReading(); };
  connection->Drain();
  RunFor(10ms);
  EXPECT_EQ(script.received, "ab");
}

// What became due in the callback that closed or aborted is nobody's business any more.
TEST_P(ConnectionTransportTest, NothingIsToldBehindCloseOrAbort) {
  for (const bool abort : {false, true}) {
    script = {};
    Adopt();
    script.on_data = [&](Transport& transport, std::string_view bytes) {
      connection->Drain();
      abort ? transport.Abort(CloseReason::kAborted) : transport.Close();
      return bytes.size();
    };
    peer->Send("x");
    RunFor(10ms);
    peer->ShutdownSend();
    ExpectClosed(abort ? CloseReason::kAborted : CloseReason::kLocal);
    EXPECT_THAT(script.calls, ElementsAre("open", "data", "closed"));
  }
}

TEST_P(ConnectionTransportTest, OutputThatDrainsBehindCloseIsNotTold) {
  options.output_high_mark = 1000;
  options.output_low_mark = 100;
  network.mutable_options().window_bytes = 50;
  Adopt();
  connection->Write(std::string(2000, 'x'));
  ASSERT_TRUE(connection->output_blocked());
  connection->Close();
  RunFor(50ms);
  EXPECT_EQ(peer->received().size(), 2000U);
  EXPECT_EQ(script.Count("drained"), 0U);
}

// ---- Deadlines ----

TEST_P(ConnectionTransportTest, DeadlineAbortsByDefault) {
  Adopt();
  connection->SetDeadline(network.Now() + 1s);
  const TimePoint start = network.Now();
  ExpectClosed(CloseReason::kDeadline);
  EXPECT_GE(network.Now() - start, 1s);
}

TEST_P(ConnectionTransportTest, DeadlinesMoveWhileTheyAreWaitedFor) {
  Adopt();
  std::vector<TimePoint> fired;
  script.on_deadline = [&](Transport&) { fired.push_back(network.Now()); };
  const TimePoint start = network.Now();
  connection->SetDeadline(start + 1s);
  RunFor(500ms);
  connection->SetDeadline(start + 3s);  // later
  RunFor(2s);
  EXPECT_TRUE(fired.empty());
  connection->SetDeadline(start + 2700ms);  // earlier
  RunFor(1s);
  ASSERT_EQ(fired.size(), 1U);
  EXPECT_GE(fired[0], start + 2700ms);
  EXPECT_LE(fired[0], start + 2710ms);
  connection->SetDeadline(start + 5s);
  connection->SetDeadline(kNever);
  RunFor(10s);
  EXPECT_EQ(fired.size(), 1U);
  connection->SetDeadline(start);  // already past
  RunFor(10ms);
  EXPECT_EQ(fired.size(), 2U);
  EXPECT_EQ(connection->state(), State::kOpen);
}

TEST_P(ConnectionTransportTest, NoDeadlineOnceClosing) {
  Adopt();
  connection->SetDeadline(network.Now() + 100ms);
  connection->Close();
  RunFor(1s);
  EXPECT_EQ(script.Count("deadline"), 0U);
  EXPECT_EQ(connection->state(), State::kLingering);
}

}  // namespace
}  // namespace quintet::testing
