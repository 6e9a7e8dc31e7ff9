// The contract of Backend: receiving.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/asan.h"
#include "tests/support/backend_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using RecvTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, RecvTest, AllBackends(), KindName);

TEST_P(RecvTest, StaysArmedUntilStopped) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string message = "message " + std::to_string(i);
    ASSERT_TRUE(SendAll(pair.peer.get(), message));
    expected += message;
    ASSERT_TRUE(PumpUntil([&] { return source.received().size() == expected.size(); }));
  }
  EXPECT_EQ(source.received(), expected);
  EXPECT_EQ(source.records().size(), source.Count(Op::kRecv));
}

TEST_P(RecvTest, BytesThatWereThereBeforeStartArrive) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  ASSERT_TRUE(SendAll(pair.peer.get(), "early"));
  ExpectSilence();
  backend().StartRecv(source);
  ASSERT_TRUE(PumpUntil([&] { return source.received() == "early"; }));
}

TEST_P(RecvTest, EndOfFileComesOnceAndAfterTheBytes) {
  for (const bool shutdown_only : {false, true}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{200'000}}) {
      SCOPED_TRACE(::testing::Message() << "shutdown " << shutdown_only << ", bytes " << size);
      SocketPair pair = MakeTcpPair();
      RecordingSource& source = AddSource(std::move(pair.ours));
      const std::string bytes = PatternBytes(size);
      std::thread sender([&] {
        EXPECT_TRUE(SendAll(pair.peer.get(), bytes));
        if (shutdown_only) {
          ::shutdown(pair.peer.get(), SHUT_WR);
        } else {
          pair.peer.Reset();
        }
      });
      backend().StartRecv(source);
      EXPECT_TRUE(PumpUntil([&] { return source.ended(); }));
      sender.join();
      EXPECT_EQ(source.Last(Op::kRecv), 0);
      EXPECT_TRUE(source.received() == bytes);
      ExpectSilence();
      EXPECT_EQ(source.CountResult(Op::kRecv, 0), 1U);
    }
  }
}

TEST_P(RecvTest, EndOfFileThatWasThereBeforeStartArrives) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  ASSERT_TRUE(SendAll(pair.peer.get(), "last words"));
  pair.peer.Reset();
  ExpectSilence();
  backend().StartRecv(source);
  ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
  EXPECT_EQ(source.received(), "last words");
  EXPECT_EQ(source.Last(Op::kRecv), 0);
}

TEST_P(RecvTest, AfterTheEndStartRecvBringsNothingMore) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  ::shutdown(pair.peer.get(), SHUT_WR);
  backend().StartRecv(source);
  ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
  backend().StartRecv(source);
  ExpectSilence();
  backend().StopRecv(source);
  backend().StartRecv(source);
  ExpectSilence();
  EXPECT_EQ(source.Count(Op::kRecv), 1U);
}

TEST_P(RecvTest, SendingStaysLegalAfterEndOfFile) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  ::shutdown(pair.peer.get(), SHUT_WR);
  ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
  const std::string reply = PatternBytes(3 << 20);
  std::string got;
  std::thread reader([&] { got = ReceiveExactly(pair.peer.get(), reply.size()); });
  EXPECT_TRUE(SendFully(source, reply));
  reader.join();
  EXPECT_TRUE(got == reply);
  ExpectSilence();
}

TEST_P(RecvTest, UnreadBytesAreKeptAndDoNotSpinWhileStopped) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  ASSERT_TRUE(SendAll(pair.peer.get(), "one"));
  ASSERT_TRUE(PumpUntil([&] { return source.received() == "one"; }));
  backend().StopRecv(source);
  Turn(kPollOnly);
  const std::string more = PatternBytes(50'000);
  ASSERT_TRUE(SendAll(pair.peer.get(), more));
  // What the kernel moves before it learns of the stop may come; then there is silence.
  PumpFor(std::chrono::milliseconds(20));
  ExpectSilence();
  backend().StartRecv(source);
  ASSERT_TRUE(PumpUntil([&] { return source.received().size() == 3 + more.size(); }));
  EXPECT_TRUE(source.received() == "one" + more);
}

TEST_P(RecvTest, StopAndStartInOneTurnWork) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Turn(kPollOnly);
  for (int i = 0; i < 100; ++i) {
    backend().StopRecv(source);
    if (i % 3 == 0) Turn(kPollOnly);
    backend().StartRecv(source);
    ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
    ASSERT_TRUE(PumpUntil([&] { return source.received().size() == static_cast<size_t>(i + 1); }));
  }
}

// Stopped and started at random, also from inside its own callback, while bytes come in random
// pieces: each byte arrives once and in order.
void RunRandomToggling(size_t total, uint32_t seed, Backend& backend, RecordingSource& source,
                       Fd& peer, const std::function<bool(const std::function<bool()>&)>& pump) {
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  const std::string bytes = PatternBytes(total, seed);
  std::thread sender([&] {
    std::minstd_rand random(seed + 1);
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const size_t size = std::min<size_t>(rest.size(), 1 + random() % 150'000);
      if (!SendAll(peer.get(), rest.substr(0, size))) break;
      rest.remove_prefix(size);
      if (random() % 8 == 0) std::this_thread::yield();
    }
    ::shutdown(peer.get(), SHUT_WR);
  });
  std::minstd_rand random(seed + 2);
  bool armed = true;
  source.then = [&](const Completion& completion) {
    if (completion.result <= 0) return;
    if (random() % 4 == 0) {
      backend.StopRecv(source);
      armed = false;
    }
    if (random() % 3 == 0) {
      backend.StartRecv(source);
      armed = true;
    }
  };
  backend.StartRecv(source);
  EXPECT_TRUE(pump([&] {
    if (!armed && random() % 2 == 0) {
      backend.StartRecv(source);
      armed = true;
    } else if (armed && random() % 16 == 0) {
      backend.StopRecv(source);
      backend.StartRecv(source);
    }
    // While stopped nothing has to come: the wait must not last for that.
    if (!armed) backend.Wake();
    return source.ended();
  }));
  if (::testing::Test::HasFailure()) ::shutdown(peer.get(), SHUT_RDWR);
  sender.join();
  source.then = nullptr;
  EXPECT_EQ(source.Last(Op::kRecv), 0);
  EXPECT_EQ(source.received().size(), bytes.size());
  EXPECT_TRUE(source.received() == bytes);
}

TEST_P(RecvTest, NoByteIsStrandedUnderRandomStopAndStart) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  RunRandomToggling(static_cast<size_t>(Scaled(64)) << 20, 7, backend(), source, pair.peer,
                    [this](const auto& done) { return PumpUntil(done, 3 * kPatience); });
}

TEST_P(RecvTest, NoByteIsStrandedOnUnixSockets) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SocketPair pair = MakeUnixPair();
    RecordingSource& source = AddSource(std::move(pair.ours));
    RunRandomToggling(1 << 20, seed, backend(), source, pair.peer,
                      [this](const auto& done) { return PumpUntil(done); });
  }
}

TEST_P(RecvTest, ResetWhileReceivingIsReportedOnce) {
  SocketPair pair = MakeTcpPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  Turn(kPollOnly);
  Reset(pair.peer);
  ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
  EXPECT_EQ(source.Last(Op::kRecv), -ECONNRESET);
  ExpectSilence();
  backend().StartRecv(source);
  ExpectSilence();
  EXPECT_EQ(source.records().size(), 1U);
}

TEST_P(RecvTest, ErrorOfOneSourceTouchesNoOther) {
  SocketPair failing = MakeTcpPair();
  SocketPair healthy = MakeTcpPair();
  RecordingSource& a = AddSource(std::move(failing.ours));
  RecordingSource& b = AddSource(std::move(healthy.ours));
  backend().StartRecv(a);
  backend().StartRecv(b);
  Turn(kPollOnly);
  Reset(failing.peer);
  ASSERT_TRUE(SendAll(healthy.peer.get(), "well"));
  ASSERT_TRUE(PumpUntil([&] { return a.ended() && b.received() == "well"; }));
  Send(b, "too");
  ASSERT_TRUE(PumpUntil([&] { return b.Count(Op::kSend) == 1; }));
  EXPECT_EQ(ReceiveExactly(healthy.peer.get(), 3), "too");
  EXPECT_FALSE(a.closed());
  EXPECT_FALSE(b.ended());
}

// Hang-up and error cannot be masked (poll(2)): with nobody to act on them they must not wake.
TEST_P(RecvTest, HangUpWhileStoppedDoesNotSpin) {
  SocketPair tcp_reset = MakeTcpPair();
  SocketPair tcp_close = MakeTcpPair();
  SocketPair unix_close = MakeUnixPair();
  RecordingSource* sources[] = {&AddSource(std::move(tcp_reset.ours)),
                                &AddSource(std::move(tcp_close.ours)),
                                &AddSource(std::move(unix_close.ours))};
  for (RecordingSource* source : sources) backend().StartRecv(*source);
  Turn(kPollOnly);
  for (RecordingSource* source : sources) backend().StopRecv(*source);
  Turn(kPollOnly);
  PumpFor(std::chrono::milliseconds(10));
  Reset(tcp_reset.peer);
  tcp_close.peer.Reset();
  unix_close.peer.Reset();
  ExpectSilence(std::chrono::milliseconds(300));
  for (RecordingSource* source : sources) {
    EXPECT_EQ(source->Count(Op::kRecv), 0U);
    backend().StartRecv(*source);
  }
  ASSERT_TRUE(PumpUntil([&] {
    return std::all_of(std::begin(sources), std::end(sources), [](auto* s) { return s->ended(); });
  }));
  EXPECT_EQ(sources[0]->Last(Op::kRecv), -ECONNRESET);
  EXPECT_EQ(sources[1]->Last(Op::kRecv), 0);
  EXPECT_EQ(sources[2]->Last(Op::kRecv), 0);
}

TEST_P(RecvTest, HangUpOfAnAttachedButUnusedSourceDoesNotSpin) {
  SocketPair pair = MakeUnixPair();
  RecordingSource& source = AddSource(std::move(pair.ours));
  backend().StartRecv(source);
  pair.peer.Reset();
  ASSERT_TRUE(PumpUntil([&] { return source.ended(); }));
  ExpectSilence(std::chrono::milliseconds(300));
}

TEST_P(RecvTest, BytesLiveUntilTheNextCallOfNext) {
  constexpr size_t kSources = 8;
  std::vector<SocketPair> pairs;
  std::vector<RecordingSource*> sources;
  for (size_t i = 0; i < kSources; ++i) {
    pairs.push_back(MakeTcpPair());
    sources.push_back(&AddSource(std::move(pairs.back().ours)));
    backend().StartRecv(*sources.back());
    ASSERT_TRUE(SendAll(pairs.back().peer.get(), std::string(1000, static_cast<char>('a' + i))));
  }
  size_t seen = 0;
  const TimePoint deadline = clock().Now() + kPatience;
  while (seen < kSources && clock().Now() < deadline) {
    backend().Wait(deadline);
    Completion completion;
    std::span<const std::byte> last;
    while (backend().Next(&completion)) {
#ifdef QUINTET_ASAN
      if (!last.empty() && last.data() != completion.data.data()) {
        EXPECT_TRUE(__asan_address_is_poisoned(last.data())) << "nobody would notice a late reader";
      }
#endif
      if (completion.op != Op::kRecv) continue;
      ASSERT_GT(completion.result, 0);
      ASSERT_EQ(static_cast<size_t>(completion.result), completion.data.size());
      // Calls on other sources between two calls of Next() leave the bytes alone.
      for (RecordingSource* other : sources) {
        if (other == completion.source) continue;
        backend().StopRecv(*other);
        backend().StartRecv(*other);
      }
      Send(*sources[seen], "busy");
      backend().Wake();
      completion.source->OnCompletion(completion);
      last = completion.data;
      ++seen;
    }
  }
  for (size_t i = 0; i < kSources; ++i) {
    ASSERT_TRUE(PumpUntil([&] { return sources[i]->received().size() == 1000; }));
    EXPECT_EQ(sources[i]->received(), std::string(1000, static_cast<char>('a' + i)));
  }
}

}  // namespace
}  // namespace quintet::testing
