// The contract of Backend: sends whose success is no news to the sender.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/backend_test.h"

namespace quintet::testing {
namespace {

class LazySendTest : public BackendTest {
 protected:
  // `text` outlives the send.
  void SendLazily(RecordingSource& source, const std::string& text) {
    vector_ = {const_cast<char*>(text.data()), text.size()};
    backend().StartLazySend(source, {&vector_, 1});
  }

 private:
  iovec vector_{};
};
INSTANTIATE_TEST_SUITE_P(Backends, LazySendTest, AllBackends(), KindName);

// The others send at once.
using SilentSendTest = LazySendTest;
INSTANTIATE_TEST_SUITE_P(Backends, SilentSendTest, ::testing::Values(BackendKind::kIoUring),
                         KindName);

TEST_P(LazySendTest, LeavesAtOnceAndIsToldAfterTheWaitAtTheLatest) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  const std::string text = "hello";
  SendLazily(source, text);
  std::thread reader([&] { EXPECT_EQ(ReceiveExactly(pair.peer.get(), 5), text); });
  Turn(clock().Now() + kSilence);
  reader.join();
  Turn(kPollOnly);
  ASSERT_EQ(source.Count(Op::kSend), 1U);
  EXPECT_EQ(source.Last(Op::kSend), 5);
  ExpectSilence();
}

// What the other side answers is told after the send that it answers.
TEST_P(LazySendTest, IsToldBeforeWhatCameLater) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Turn(kPollOnly);
  const std::string question = "question";
  for (int i = 0; i < 20; ++i) {
    SendLazily(source, question);
    std::thread peer([&] {
      EXPECT_EQ(ReceiveExactly(pair.peer.get(), question.size()), question);
      EXPECT_TRUE(SendAll(pair.peer.get(), "answer"));
    });
    const size_t before = source.records().size();
    EXPECT_TRUE(PumpUntil([&] { return source.records().size() >= before + 2; }));
    peer.join();
    ASSERT_EQ(source.records()[before].op, Op::kSend);
    ASSERT_EQ(source.records()[before + 1].op, Op::kRecv);
  }
}

// A wait without a deadline: nothing but the send can end it.
TEST_P(LazySendTest, ExpectSendMakesItNews) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().ExpectSend(source);  // there is none: nothing happens
  ExpectSilence();
  const std::string text = "hello";
  SendLazily(source, text);
  backend().ExpectSend(source);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), 5);
}

TEST_P(LazySendTest, ThatIsShortIsNews) {
  SocketPair pair = MakeTcpPair();
  const size_t before = FillSocket(pair.ours.get());
  RecordingSource& source = AddSource(std::move(pair.ours));
  const std::string text(10'000, 'x');
  SendLazily(source, text);
  ExpectSilence();
  EXPECT_EQ(source.Count(Op::kSend), 0U);
  std::string got;
  std::thread reader([&] { got = ReceiveExactly(pair.peer.get(), before + text.size()); });
  size_t sent = 0;
  while (sent < text.size()) {
    const size_t told = source.Count(Op::kSend);
    ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) > told; }));
    ASSERT_GT(source.Last(Op::kSend), 0);
    sent += static_cast<size_t>(*source.Last(Op::kSend));
    if (sent < text.size()) Send(source, std::string_view(text).substr(sent));
  }
  reader.join();
  EXPECT_EQ(got.substr(before), text);
}

// Room for a part: the kernel takes it, and says how much, whether it waits for the rest or not.
TEST_P(LazySendTest, NothingIsLostOrSentTwiceWhereRoomIsScarce) {
  SocketPair pair = MakeUnixPair();  // takes a part of a small send, as TCP hardly does
  const int small = 1;               // brought up to the least there is
  ASSERT_EQ(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
  RecordingSource& source = AddSource(std::move(pair.ours));
  const std::string bytes = PatternBytes(300'000, 7);
  std::string got;
  std::thread reader([&] {
    while (got.size() < bytes.size()) {
      got += ReceiveExactly(pair.peer.get(), std::min<size_t>(3000, bytes.size() - got.size()));
    }
  });
  std::string piece;
  size_t short_sends = 0;
  for (size_t sent = 0; sent < bytes.size();) {
    piece = bytes.substr(sent, 16'000);
    const size_t told = source.Count(Op::kSend);
    SendLazily(source, piece);
    // Without waiting: ExpectSend() would make it a send like any other.
    const TimePoint end = clock().Now() + kPatience;
    while (source.Count(Op::kSend) == told && clock().Now() < end) Turn(kPollOnly);
    ASSERT_GT(source.Count(Op::kSend), told);
    ASSERT_GT(source.Last(Op::kSend), 0);
    short_sends += static_cast<size_t>(*source.Last(Op::kSend)) < piece.size() ? 1 : 0;
    sent += static_cast<size_t>(*source.Last(Op::kSend));
  }
  reader.join();
  EXPECT_EQ(got, bytes);
  EXPECT_GT(short_sends, 0U);
}

TEST_P(LazySendTest, ThatFailsIsNews) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  Reset(pair.peer);
  pollfd poll{.fd = source.fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&poll, 1, 20'000), 1);
  const std::string text = "anybody there?";
  SendLazily(source, text);
  ASSERT_TRUE(PumpUntil([&] { return source.Count(Op::kSend) == 1; }));
  EXPECT_EQ(source.Last(Op::kSend), -ECONNRESET);
}

TEST_P(LazySendTest, EndsWithItsSource) {
  for (const bool submitted : {false, true}) {
    SocketPair pair = MakeTcpPair();
    RecordingSource& source = AddSource(std::move(pair.ours));
    const std::string text = "last words";
    SendLazily(source, text);
    if (submitted) backend().Wait(kPollOnly);
    CloseAndPump(source);
    EXPECT_EQ(source.Count(Op::kClosed), 1U);
    EXPECT_EQ(source.records().back().op, Op::kClosed);
  }
}

// One wake-up for requests, none for replies.
TEST_P(SilentSendTest, CostsNoCompletion) {
  std::vector<SocketPair> pairs;
  std::vector<RecordingSource*> sources;
  const std::string text = "hello";
  const iovec vector{const_cast<char*>(text.data()), text.size()};
  for (int i = 0; i < 50; ++i) {
    pairs.push_back(MakeTcpPair());
    sources.push_back(&AddSource(std::move(pairs.back().ours)));
  }
  ExpectSilence();
  const uint64_t events = backend().stats().events;
  for (RecordingSource* source : sources) backend().StartLazySend(*source, {&vector, 1});
  Turn(kPollOnly);
  Turn(kPollOnly);
  for (RecordingSource* source : sources) EXPECT_EQ(source->Count(Op::kSend), 1U);
  EXPECT_EQ(backend().stats().events, events);
}

}  // namespace
}  // namespace quintet::testing
