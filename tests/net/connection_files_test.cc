// Ranges of files in the output of a connection, on the simulated network.
#include <errno.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/net/sim_fixture.h"
#include "tests/support/memory_file.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

class ConnectionFilesTest : public SendModeTest {
 protected:
  // Goes on where a file is short, and notes how many bytes it lacked.
  void GoOnWhereShort() {
    script.on_file_short = [this](Transport&, uint64_t bytes) { missing.push_back(bytes); };
  }
  std::string received() const { return peer->received(); }

  std::vector<uint64_t> missing;
};
INSTANTIATE_TEST_SUITE_P(Sends, ConnectionFilesTest, SendModes(), SendModeName);

TEST_P(ConnectionFilesTest, BytesAndRangesKeepTheirOrder) {
  const auto file = MakeFile("0123456789");
  script.on_open = [&](Transport& transport) {
    transport.Write("a");
    transport.WriteFile(file, 2, 3);
    transport.WriteFile(file, 0, 1);
    transport.Write("b");
    transport.Write("c");
    transport.WriteFile(file, 5, 0);
    transport.Write("d");
    transport.WriteFile(file, 9, 1);
    EXPECT_EQ(transport.output_bytes(), 9U);
  };
  Adopt();
  ASSERT_TRUE(RunUntil([&] { return received().size() == 9; }));
  EXPECT_EQ(received(), "a2340bcd9");
  EXPECT_TRUE(RunUntil([&] { return connection->output_bytes() == 0; }));
  connection->WriteFile(file, 0, 2);
  connection->Write("e");
  ASSERT_TRUE(RunUntil([&] { return received().size() == 12; }));
  EXPECT_EQ(received(), "a2340bcd901e");
  EXPECT_EQ(group->counters().bytes_out, 12U);
}

TEST_P(ConnectionFilesTest, RandomPatternsThroughANarrowWindow) {
  const std::string content = PatternBytes(200'000, 5);
  const auto file = MakeFile(content);
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    SimRandom random(seed);
    network.mutable_options().window_bytes = random.Between(100, 100'000);
    network.mutable_options().faults.short_send = static_cast<uint32_t>(random.Below(500));
    Adopt();
    std::string expected;
    for (int step = 0; step < 40; ++step) {
      const size_t most = random.Chance(100) ? 100'000 : 2000;
      const size_t size = random.Below(most);
      if (random.Chance(500)) {
        const uint64_t offset = random.Below(100'000);
        connection->WriteFile(file, offset, size);
        expected += content.substr(offset, size);
      } else {
        connection->Write(content.substr(0, size));
        expected += content.substr(0, size);
      }
      if (random.Chance(100)) RunFor(Duration(random.Below(2'000'000)));
    }
    EXPECT_TRUE(RunUntil([&] { return connection->output_bytes() == 0; }));
    EXPECT_TRUE(RunUntil([&] { return received().size() >= expected.size(); }));
    ASSERT_TRUE(received() == expected);
    connection->Abort(CloseReason::kAborted);
    ASSERT_TRUE(RunUntilClosed());
    script = Script();
  }
  EXPECT_EQ(file.use_count(), 1);
}

TEST_P(ConnectionFilesTest, CountsForTheMarksAndNotForTheCap) {
  options.output_high_mark = 100'000;
  options.output_low_mark = 10'000;
  options.output_cap = 200'000;
  const std::string content = PatternBytes(1 << 20);
  const auto file = MakeFile(content);
  Adopt();
  peer->StopReading();
  connection->WriteFile(file, 0, 100'000);
  EXPECT_FALSE(connection->output_blocked());
  connection->WriteFile(file, 0, content.size());
  EXPECT_TRUE(connection->output_blocked());
  connection->Write(std::string(150'000, 'b'));
  RunFor(100ms);
  EXPECT_EQ(script.Count("drained"), 0U);
  size_t at_drained = 0;
  script.on_drained = [&](Transport& transport) {
    at_drained = transport.output_bytes();
    EXPECT_FALSE(transport.output_blocked());
  };
  peer->StartReading();
  const size_t all = 100'000 + content.size() + 150'000;
  ASSERT_TRUE(RunUntil([&] { return received().size() == all; }));
  EXPECT_EQ(script.Count("drained"), 1U);
  EXPECT_LE(at_drained, 10'000U);
  EXPECT_FALSE(script.closed());
}

TEST_P(ConnectionFilesTest, BytesBehindAFileCountForTheCapAndSoDoNotesOfRanges) {
  options.output_cap = 10'000;
  const auto file = MakeFile(std::string(1000, 'f'));
  Adopt();
  peer->StopReading();
  connection->WriteFile(file, 0, 1000);
  connection->Write(std::string(10'001, 'b'));
  ExpectClosed(CloseReason::kOutputLimit);

  script = Script();
  Adopt();
  for (int i = 0; i < 10'000 && !connection->ending(); ++i) connection->WriteFile(file, 0, 1);
  ExpectClosed(CloseReason::kOutputLimit);
  EXPECT_EQ(file.use_count(), 1);
}

TEST_P(ConnectionFilesTest, InputIsKeptBackWhileAFileIsAboveTheHighMark) {
  const auto file = MakeFile(std::string(1 << 20, 'f'));
  Adopt();
  peer->StopReading();
  connection->WriteFile(file, 0, 1 << 20);
  peer->Send("next request");
  RunFor(100ms);
  EXPECT_EQ(script.Count("data"), 0U);
  peer->StartReading();
  EXPECT_TRUE(RunUntil([&] { return script.received == "next request"; }));
}

TEST_P(ConnectionFilesTest, FileIsHeldUntilItHasLeftAndNotLonger) {
  std::weak_ptr<const UniqueFd> watched;
  Adopt();
  peer->StopReading();
  {
    const auto file = MakeFile(std::string(300'000, 'f'));
    watched = file;
    connection->WriteFile(file, 0, 300'000);
    connection->WriteFile(file, 0, 0);
  }
  RunFor(10ms);
  EXPECT_FALSE(watched.expired());
  peer->StartReading();
  ASSERT_TRUE(RunUntil([&] { return connection->output_bytes() == 0; }));
  RunFor(10ms);
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(received(), std::string(300'000, 'f'));
}

TEST_P(ConnectionFilesTest, ShortFileAbortsUnlessTheSessionKnowsBetter) {
  const auto file = MakeFile("short");
  script.on_open = [&](Transport& transport) {
    transport.WriteFile(file, 0, 6);
    transport.Close();
  };
  Adopt();
  ExpectClosed(CloseReason::kError);
  EXPECT_EQ(script.Count("short"), 1U);
  EXPECT_TRUE(peer->saw_reset());
  EXPECT_LE(received().size(), 5U) << "something was sent in its place";
}

TEST_P(ConnectionFilesTest, ZerosKeepThePlaceOfWhatFollows) {
  const auto file = MakeFile("short");
  GoOnWhereShort();
  script.on_open = [&](Transport& transport) {
    transport.WriteFile(file, 2, 100'000);
    transport.Write("between");
    transport.WriteFile(file, 1'000'000, 4);
    transport.WriteFile(file, 0, 5);
    transport.Write("behind");
    transport.Close();
    EXPECT_EQ(script.Count("short"), 0U) << "told inside the call";
  };
  Adopt();
  const std::string expected =
      "ort" + std::string(99'997, '\0') + "between" + std::string(4, '\0') + "short" + "behind";
  RunFor(2s);
  ASSERT_TRUE(peer->saw_fin());
  EXPECT_TRUE(received() == expected);
  EXPECT_EQ(missing, (std::vector<uint64_t>{99'997, 4}));
  peer->ShutdownSend();
  ExpectClosed(CloseReason::kLocal);
}

TEST_P(ConnectionFilesTest, ToldBeforeAnythingIsSentInItsPlace) {
  const auto file = MakeFile("short");
  size_t received_then = SIZE_MAX;
  Adopt();
  script.on_file_short = [&](Transport& transport, uint64_t) {
    EXPECT_EQ(transport.output_bytes(), 995U);
    received_then = peer->received().size();
    transport.Write("explained");
  };
  connection->WriteFile(file, 0, 1000);
  ASSERT_TRUE(RunUntil([&] { return received().size() == 1009; }));
  EXPECT_LE(received_then, 5U);
  EXPECT_TRUE(received().ends_with("explained"));
}

TEST_P(ConnectionFilesTest, AFileThatShrinksMeanwhile) {
  const std::string content = PatternBytes(400'000);
  const auto file = MakeFile(content);
  GoOnWhereShort();
  Adopt();
  peer->StopReading();
  connection->WriteFile(file, 0, content.size());
  RunFor(10ms);
  ASSERT_EQ(::ftruncate(file->get(), 200'000), 0);
  peer->StartReading();
  ASSERT_TRUE(RunUntil([&] { return received().size() == content.size(); }));
  EXPECT_TRUE(received().substr(0, 200'000) == content.substr(0, 200'000));
  EXPECT_TRUE(received().substr(200'000) == std::string(200'000, '\0'));
  EXPECT_EQ(missing, std::vector<uint64_t>{200'000});
}

TEST_P(ConnectionFilesTest, WhatMayHappenInOnFileShort) {
  const auto file = MakeFile("");
  for (int what = 0; what < 3; ++what) {
    script = Script();
    Adopt();
    script.on_file_short = [&](Transport& transport, uint64_t) {
      if (what == 0) throw std::runtime_error("no such luck");
      if (what == 1) transport.Abort(CloseReason::kRefused);
      if (what == 2) group.reset();
    };
    connection->WriteFile(file, 0, 10);
    connection->Write("behind");
    ASSERT_TRUE(RunUntil([&] { return script.destroyed; }));
    constexpr CloseReason kReasons[] = {CloseReason::kSessionError, CloseReason::kRefused,
                                        CloseReason::kAborted};
    EXPECT_EQ(CloseReasonName(script.reason), CloseReasonName(kReasons[what]));
    EXPECT_EQ(script.Count("short"), 1U);
    EXPECT_EQ(received(), "");
    RunFor(10ms);
    EXPECT_EQ(file.use_count(), 1);
  }
}

TEST_P(ConnectionFilesTest, CloseSendsItFirst) {
  const std::string content = PatternBytes(300'000);
  const auto file = MakeFile(content);
  Adopt();
  connection->Write("head");
  connection->WriteFile(file, 0, content.size());
  connection->Close();
  connection->WriteFile(file, 0, 1);  // too late
  RunFor(2s);
  ASSERT_TRUE(peer->saw_fin());
  EXPECT_TRUE(received() == "head" + content);
  peer->ShutdownSend();
  ExpectClosed(CloseReason::kLocal);
}

// In every phase.
TEST_P(ConnectionFilesTest, AbortAndTheEndOfTheGroupDropIt) {
  for (const bool destroy : {false, true}) {
    for (const Duration pause : {Duration(0us), Duration(1us), Duration(10ms)}) {
      for (const bool reads : {false, true}) {
        script = Script();
        const auto file = MakeFile(std::string(400'000, 'f'));
        Adopt();
        if (!reads) peer->StopReading();
        connection->Write("head");
        connection->WriteFile(file, 0, 400'000);
        connection->Write("between");
        connection->WriteFile(file, 0, 400'000);
        if (pause > Duration::zero()) RunFor(pause);
        if (destroy) {
          group.reset();
        } else {
          connection->Abort(CloseReason::kAborted);
        }
        ASSERT_TRUE(RunUntil([&] { return script.destroyed; }));
        RunFor(1ms);
        EXPECT_EQ(file.use_count(), 1);
        peer->StartReading();
        RunFor(10ms);
        EXPECT_TRUE(peer->saw_reset());
      }
    }
  }
}

TEST_P(ConnectionFilesTest, StalledReader) {
  options.write_stall_timeout = 5s;
  const auto file = MakeFile(std::string(4 << 20, 'f'));
  Adopt();
  connection->WriteFile(file, 0, 4 << 20);
  // Slow is not stalled.
  peer->StopReading();
  for (int i = 0; i < 3; ++i) {
    RunFor(3s);
    EXPECT_FALSE(script.closed());
    peer->StartReading();
    RunFor(1ms);
    peer->StopReading();
  }
  ASSERT_GT(connection->output_bytes(), 0U);
  ExpectClosed(CloseReason::kWriteStall);
}

TEST_P(ConnectionFilesTest, ErrorsOfTheSocketEndIt) {
  const auto file = MakeFile(std::string(1000, 'f'));
  for (const int error : {EPIPE, ECONNRESET, ETIMEDOUT}) {
    script = Script();
    Adopt();
    backend->FailNext(Op::kSend, error);
    connection->WriteFile(file, 0, 1000);
    ExpectClosed(error == ETIMEDOUT ? CloseReason::kError : CloseReason::kPeerReset);
    EXPECT_EQ(file.use_count(), 1);
  }
}

TEST_P(ConnectionFilesTest, AConnectionWithAFileToSendIsNotIdle) {
  const auto file = MakeFile(std::string(400'000, 'f'));
  script.idle = true;
  Adopt();
  peer->StopReading();
  connection->WriteFile(file, 0, 400'000);
  RunFor(10ms);
  connection->End();
  ExpectClosed(CloseReason::kAborted);
}

}  // namespace
}  // namespace quintet::testing
