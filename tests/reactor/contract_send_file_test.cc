// The contract of Backend: sending from files.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/backend_test.h"
#include "tests/support/memory_file.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

class SendFileTest : public BackendTest {
 protected:
  // Sends a range by one StartSendFile() after the other; returns the last result.
  int32_t SendAllOf(RecordingSource& source, FileRange range) {
    int32_t result = 0;
    while (range.length > 0 && result >= 0) {
      const size_t before = source.Count(Op::kSend);
      backend().StartSendFile(source, range);
      if (!PumpUntil([&] { return source.Count(Op::kSend) > before; })) return -ETIME;
      result = *source.Last(Op::kSend);
      if (result <= 0) break;
      range.offset += static_cast<uint64_t>(result);
      range.length -= static_cast<uint64_t>(result);
    }
    return result;
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, SendFileTest, AllBackends(), KindName);

TEST_P(SendFileTest, RangeIsSentWithOneCompletion) {
  const auto file = MakeFile("0123456789");
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  const FileRange range{.fd = file->get(), .offset = 3, .length = 4};
  backend().StartSendFile(source, range);
  EXPECT_TRUE(source.records().empty()) << "a completion within the call";
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), 4);
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), 4), "3456");
  EXPECT_EQ(::lseek(file->get(), 0, SEEK_CUR), 10) << "the file's position moved";
  ExpectSilence();
}

TEST_P(SendFileTest, SendFileNowIsASendWithoutCompletion) {
  const auto file = MakeFile("of a file ");
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  const FileRange range{.fd = file->get(), .offset = 0, .length = 10};
  EXPECT_EQ(backend().SendFileNow(source, range), 10U);
  ExpectSilence();
  EXPECT_TRUE(source.records().empty());
  Send(source, "and bytes ");
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(backend().SendFileNow(source, range), 10U);
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), 30), "of a file and bytes of a file ");
}

TEST_P(SendFileTest, FullSocketMakesItWaitAndNothingIsLost) {
  const auto file = MakeFile("after the flood");
  for (const bool unix_socket : {false, true}) {
    SocketPair pair = unix_socket ? MakeUnixPair() : MakeTcpPair();
    const size_t before = FillSocket(pair.ours.get());
    RecordingSource& source = AddSource(std::move(pair.ours));
    const FileRange range{.fd = file->get(), .offset = 0, .length = 15};
    EXPECT_EQ(backend().SendFileNow(source, range), 0U);
    backend().StartSendFile(source, range);
    ExpectSilence();
    EXPECT_EQ(source.Count(Op::kSend), 0U);
    std::thread reader([&] {
      EXPECT_EQ(ReceiveExactly(pair.peer.get(), before).size(), before);
      EXPECT_EQ(ReceiveExactly(pair.peer.get(), 15), "after the flood");
    });
    EXPECT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
    EXPECT_EQ(source.Last(Op::kSend), 15);
    reader.join();
    ExpectSilence();
  }
}

// Somebody else who sends on the socket may have filled it meanwhile.
TEST_P(SendFileTest, RoomThatIsGoneAgainIsWaitedFor) {
  const auto file = MakeFile("after the flood");
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  const FileRange range{.fd = file->get(), .offset = 0, .length = 15};
  backend().StartSendFile(source, range);
  backend().Wait(clock().Now() + kPatience);
  const size_t filled = FillSocket(source.fd());
  Completion completion;
  while (backend().Next(&completion)) completion.source->OnCompletion(completion);
  std::thread reader(
      [&] { EXPECT_EQ(ReceiveExactly(pair.peer.get(), filled + 15).size(), filled + 15); });
  EXPECT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), 15);
  if (HasFailure()) ::shutdown(source.fd(), SHUT_RDWR);
  reader.join();
  ExpectSilence();
}

TEST_P(SendFileTest, LargeRangeGoesInBoundedPieces) {
  const std::string bytes = PatternBytes(static_cast<size_t>(Scaled(32)) << 20, 3);
  const auto file = MakeFile(bytes);
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  std::string got;
  std::thread reader([&] { got = ReceiveExactly(pair.peer.get(), bytes.size()); });
  EXPECT_GT(SendAllOf(source, {.fd = file->get(), .offset = 0, .length = bytes.size()}), 0);
  if (HasFailure()) ::shutdown(source.fd(), SHUT_RDWR);
  reader.join();
  EXPECT_TRUE(got == bytes);
  for (const auto& record : source.records()) {
    EXPECT_GT(record.result, 0);
    EXPECT_LE(record.result, static_cast<int32_t>(Backend::kMaxSendFileBytes));
  }
}

TEST_P(SendFileTest, WhatTheFileLacksIsNoErrorOfTheSocket) {
  const auto file = MakeFile("short");
  const UniqueFd unreadable(::open("/proc/self/fd", O_RDONLY | O_CLOEXEC));
  const UniqueFd write_only(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  EXPECT_EQ(SendAllOf(source, {.fd = file->get(), .offset = 0, .length = 9}), -ENODATA);
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), 5), "short");
  for (const FileRange range : {FileRange{.fd = file->get(), .offset = 5, .length = 1},
                                FileRange{.fd = file->get(), .offset = INT64_MAX - 1, .length = 1},
                                FileRange{.fd = unreadable.get(), .offset = 0, .length = 1},
                                FileRange{.fd = write_only.get(), .offset = 0, .length = 1}}) {
    EXPECT_EQ(backend().SendFileNow(source, range), 0U);
    EXPECT_EQ(SendAllOf(source, range), -ENODATA) << range.fd << " " << range.offset;
  }
  ASSERT_TRUE(SendFully(source, "goes on"));
  EXPECT_EQ(ReceiveExactly(pair.peer.get(), 7), "goes on");
}

TEST_P(SendFileTest, ErrorThatSendFileNowMeetsIsToldByStartSendFile) {
  const auto file = MakeFile("anybody there?");
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  Reset(pair.peer);
  pollfd poll{.fd = source.fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&poll, 1, 20'000), 1);
  const FileRange range{.fd = file->get(), .offset = 0, .length = 14};
  EXPECT_EQ(backend().SendFileNow(source, range), 0U);
  EXPECT_EQ(backend().SendFileNow(source, range), 0U);
  EXPECT_EQ(SendAllOf(source, range), -ECONNRESET);
  EXPECT_EQ(SendAllOf(source, range), -EPIPE);
  Send(source, "bytes");
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 3; }));
  EXPECT_EQ(source.Last(Op::kSend), -EPIPE);
}

TEST_P(SendFileTest, ResetEndsAWaitingSend) {
  const auto file = MakeFile("never sent");
  SocketPair pair = MakeTcpPair();
  FillSocket(pair.ours.get());
  RecordingSource& source = AddSource(std::move(pair.ours));
  const FileRange range{.fd = file->get(), .offset = 0, .length = 10};
  backend().StartSendFile(source, range);
  Turn(kPollOnly);
  ASSERT_TRUE(source.records().empty());
  Reset(pair.peer);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), -ECONNRESET);
  ExpectSilence();
}

// In every phase; from kClosed on neither range nor descriptor is looked at.
TEST_P(SendFileTest, CloseEndsIt) {
  for (int turns = 0; turns < 3; ++turns) {
    for (const bool full : {false, true}) {
      SocketPair pair = MakeTcpPair();
      if (full) FillSocket(pair.ours.get());
      RecordingSource& source = AddSource(std::move(pair.ours));
      {
        const auto file = MakeFile(std::string(1 << 20, 'f'));
        const auto range = std::make_unique<FileRange>(
            FileRange{.fd = file->get(), .offset = 0, .length = 1 << 20});
        backend().StartSendFile(source, *range);
        for (int i = 0; i < turns; ++i) Turn(kPollOnly);
        const size_t before = source.Count(Op::kSend);
        CloseAndPump(source);
        EXPECT_EQ(source.Count(Op::kSend), before);
      }
      ExpectSilence(std::chrono::milliseconds(1));
    }
  }
}

// A reader that keeps up must not keep others waiting for the whole file.
TEST_P(SendFileTest, OthersHaveTheirTurnMeanwhile) {
  const std::string bytes = PatternBytes(4 << 20);
  const auto file = MakeFile(bytes);
  SocketPair pair = MakeTcpPair();
  SocketPair other = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  RecordingSource& receiver = AddSource(std::move(other.ours));
  std::thread reader([&] { ReceiveExactly(pair.peer.get(), bytes.size()); });
  FileRange range{.fd = file->get(), .offset = 0, .length = bytes.size()};
  size_t before_received = 0;
  source.then = [&](const Completion& completion) {
    if (completion.op != Op::kSend || completion.result <= 0) return;
    range.offset += static_cast<uint64_t>(completion.result);
    range.length -= static_cast<uint64_t>(completion.result);
    if (range.length > 0) backend().StartSendFile(source, range);
    if (receiver.received().empty()) ++before_received;
  };
  backend().StartRecv(receiver);
  Turn(kPollOnly);
  ASSERT_TRUE(SendAll(other.peer.get(), "me too"));
  backend().StartSendFile(source, range);
  EXPECT_TRUE(PumpUntil([&] { return range.length == 0 && receiver.received() == "me too"; }));
  if (HasFailure()) ::shutdown(source.fd(), SHUT_RDWR);
  reader.join();
  EXPECT_LE(before_received, 3U);
}

}  // namespace
}  // namespace quintet::testing
