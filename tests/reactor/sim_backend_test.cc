// The simulator itself: it keeps the contract towards its users and holds them to it.
#include "reactor/sim/sim_backend.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "reactor/asan.h"
#include "reactor/sim/sim_peer.h"
#include "tests/support/recording_source.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

class SimBackendTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto [ours, theirs] = network.CreatePair();
    peer = std::make_unique<SimPeer>(network, theirs);
    source = std::make_unique<RecordingSource>(ours);
    ASSERT_TRUE(backend.Add(*source).ok());
  }
  void TearDown() override {
    if (source->attached()) backend.Close(*source, CloseMode::kClose);
    RunFor(100ms);
  }
  void RunFor(Duration duration) {
    const TimePoint end = network.Now() + duration;
    while (network.Now() < end) {
      backend.Wait(end);
      Completion completion;
      while (backend.Next(&completion)) completion.source->OnCompletion(completion);
      backend.Validate();
    }
  }
  void Send() {
    vector = {bytes.data(), bytes.size()};
    backend.StartSend(*source, {&vector, 1});
  }

  SimNetwork network;
  SimBackend backend{network};
  std::unique_ptr<SimPeer> peer;
  std::unique_ptr<RecordingSource> source;
  iovec vector{};
  std::string bytes = "0123456789";
};
using SimBackendDeathTest = SimBackendTest;

TEST_F(SimBackendTest, TimeMovesToTheDeadlineOnly) {
  const TimePoint start = network.Now();
  backend.Wait(start + 5s);
  EXPECT_EQ(network.Now(), start + 5s);
  backend.Wake();
  backend.Wait(kNever);
  EXPECT_EQ(backend.stats().wakes, 1U);
}

TEST_F(SimBackendTest, NothingCompletesInsideTheCall) {
  Send();
  backend.StartRecv(*source);
  EXPECT_TRUE(source->records().empty());
  peer->Send("abc");
  RunFor(1ms);
  EXPECT_EQ(source->Last(Op::kSend), 10);
  EXPECT_EQ(peer->received(), bytes);
  EXPECT_EQ(source->received(), "abc");
}

TEST_F(SimBackendTest, EndOfFileComesOnceAndSendingGoesOn) {
  backend.StartRecv(*source);
  peer->Send("abc");
  peer->ShutdownSend();
  RunFor(10ms);
  EXPECT_EQ(source->CountResult(Op::kRecv, 0), 1U);
  EXPECT_EQ(source->received(), "abc");
  Send();
  RunFor(10ms);
  EXPECT_EQ(peer->received(), bytes);
}

TEST_F(SimBackendTest, AfterCloseOnlyClosed) {
  backend.StartRecv(*source);
  peer->Send("abc");
  RunFor(50us);
  backend.Close(*source, CloseMode::kClose);
  backend.Close(*source, CloseMode::kReset);
  RunFor(10ms);
  ASSERT_EQ(source->records().size(), 1U);
  EXPECT_EQ(source->records()[0].op, Op::kClosed);
  EXPECT_FALSE(source->attached());
  EXPECT_EQ(backend.attached_sources(), 0U);
}

TEST_F(SimBackendTest, DataAfterStopAndInOrder) {
  network.mutable_options().faults.recv_after_stop = 1000;
  backend.StartRecv(*source);
  peer->Send("abcdef");
  RunFor(50us);
  network.clock().AdvanceTo(network.Now() + 1ms);
  network.events().RunDue(network.Now());
  backend.StopRecv(*source);
  backend.StartRecv(*source);
  peer->Send("ghi");
  RunFor(10ms);
  EXPECT_EQ(source->received(), "abcdefghi");
}

TEST_F(SimBackendTest, AFullWindowHoldsTheSend) {
  network.mutable_options().window_bytes = 4;
  peer->StopReading();
  Send();
  RunFor(1ms);
  EXPECT_EQ(source->Last(Op::kSend), 4);
  Send();
  RunFor(1s);
  EXPECT_EQ(source->Count(Op::kSend), 1U);
  peer->StartReading();
  RunFor(1ms);
  EXPECT_EQ(source->Count(Op::kSend), 2U);
}

TEST_F(SimBackendDeathTest, TwoSendsInFlight) {
  Send();
  EXPECT_DEATH(Send(), "two sends in flight");
}

TEST_F(SimBackendDeathTest, BytesChangedInFlight) {
  Send();
  bytes[3] = 'x';
  EXPECT_DEATH(RunFor(1ms), "bytes of a send in flight");
  bytes[3] = '3';
}

TEST_F(SimBackendDeathTest, BuffersChangedInFlight) {
  Send();
  vector.iov_len = 3;
  EXPECT_DEATH(RunFor(1ms), "buffers of a send in flight");
  vector.iov_len = bytes.size();
}

TEST_F(SimBackendDeathTest, StartAfterClose) {
  backend.Close(*source, CloseMode::kClose);
  EXPECT_DEATH(backend.StartRecv(*source), "StartRecv after Close");
  EXPECT_DEATH(Send(), "StartSend after Close");
}

TEST_F(SimBackendDeathTest, ShutdownWithASendInFlight) {
  backend.set_hold_sends(true);
  Send();
  EXPECT_DEATH(backend.ShutdownSend(*source), "ShutdownSend with a send in flight");
}

TEST_F(SimBackendDeathTest, AWaitWithoutEnd) {
  EXPECT_DEATH(backend.Wait(kNever), "nothing will ever happen");
}

TEST_F(SimBackendTest, KeptDataIsSpoilt) {
  backend.StartRecv(*source);
  char first = 0;
  std::vector<std::span<const std::byte>> kept;
  source->then = [&](const Completion& completion) {
    if (completion.op != Op::kRecv) return;
    kept.push_back(completion.data);
    first = static_cast<char>(completion.data[0]);
  };
  peer->Send("a");
  RunFor(1ms);
  EXPECT_EQ(first, 'a');
#ifndef QUINTET_ASAN
  EXPECT_NE(static_cast<char>(kept.at(0)[0]), 'a');
#endif
}

}  // namespace
}  // namespace quintet::testing
