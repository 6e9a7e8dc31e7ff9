// The contract of Backend: nobody starves.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/backend_test.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using FairnessTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, FairnessTest, AllBackends(), KindName);

// Sources that are all ready from the start are served in turn: between two completions of one
// there is one of each other. On a ring those wait longer that found no buffer left: others use
// each buffer a few times before they get theirs.
TEST_P(FairnessTest, ReadySourcesTakeTurns) {
  constexpr size_t kSources = 16;
  const bool ring = GetParam() == BackendKind::kIoUring;
  const size_t longest_wait = ring ? 4 * UringOptions().recv_buffers : kSources;
  const size_t rounds = ring ? 70 : 3;
  std::vector<SocketPair> pairs;
  std::vector<RecordingSource*> sources;
  for (size_t i = 0; i < kSources; ++i) {
    pairs.push_back(MakeUnixPair());
    // So much that the rounds do not take it all, whatever the backend's buffers.
    const int size = 4 << 20;
    ASSERT_EQ(::setsockopt(pairs.back().peer.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    ASSERT_GT(FillSocket(pairs.back().peer.get()), (ring ? 70U << 12 : 3U << 16));
    sources.push_back(&AddSource(std::move(pairs.back().ours)));
    backend().StartRecv(*sources.back());
  }
  std::map<Source*, size_t> last;
  size_t count = 0;
  while (count < kSources * rounds) {
    backend().Wait(clock().Now() + kPatience);
    Completion completion;
    bool any = false;
    while (count < kSources * rounds && backend().Next(&completion)) {
      any = true;
      ASSERT_EQ(completion.op, Op::kRecv);
      ASSERT_GT(completion.result, 0);
      EXPECT_LE(count - last[completion.source], longest_wait) << "completion " << count;
      last[completion.source] = count++;
    }
    ASSERT_TRUE(any);
  }
  EXPECT_EQ(last.size(), kSources);
  for (const auto& [source, at] : last) EXPECT_LE(count - at, longest_wait);
}

TEST_P(FairnessTest, FloodingPeersLeaveAPingerItsTurn) {
  constexpr int kFlooders = 4;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  std::vector<SocketPair> floods;
  for (int i = 0; i < kFlooders; ++i) {
    floods.push_back(MakeTcpPair());
    RecordingSource& source = AddSource(std::move(floods.back().ours));
    source.then = [&source](const Completion&) { source.Clear(); };
    backend().StartRecv(source);
  }
  for (SocketPair& flood : floods) {
    threads.emplace_back([&stop, fd = flood.peer.get()] {
      const std::string chunk(256 << 10, 'f');
      while (!stop && SendAll(fd, chunk)) {
      }
    });
  }
  SocketPair ping = MakeTcpPair();
  RecordingSource& pinger = AddSource(std::move(ping.ours));
  backend().StartRecv(pinger);
  size_t worst = 0;
  const size_t rounds = static_cast<size_t>(Scaled(200));
  for (size_t i = 1; i <= rounds; ++i) {
    if (!SendAll(ping.peer.get(), "p")) break;
    // On the loopback the byte is there when send returns: it has its turn among those of the next
    // harvest, however much the others bring.
    const uint64_t before = backend().stats().completions;
    const bool pinged = PumpUntil([&] { return pinger.received().size() >= i; });
    EXPECT_TRUE(pinged);
    if (!pinged) break;
    worst = std::max<size_t>(worst, backend().stats().completions - before);
  }
  stop = true;
  // Lets a flooder out of a blocked send.
  for (SocketPair& flood : floods) ::shutdown(flood.peer.get(), SHUT_RDWR);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pinger.received().size(), rounds);
  // One turn of completions left over, one of what the harvest brought before ours, at most.
  EXPECT_LE(worst, 2048U);
}

TEST_P(FairnessTest, SourceThatSendsFromItsCallbackForEverLeavesOthersTheirTurn) {
  SocketPair busy = MakeUnixPair();
  SocketPair calm = MakeUnixPair();
  RecordingSource& sender = AddSource(std::move(busy.ours));
  RecordingSource& receiver = AddSource(std::move(calm.ours));
  std::atomic<bool> stop = false;
  std::thread reader([&] { ReceiveToEnd(busy.peer.get()); });
  const std::string byte = "b";
  const iovec vector{const_cast<char*>(byte.data()), 1};
  sender.then = [&](const Completion& completion) {
    if (completion.op == Op::kSend && completion.result > 0 && !stop) {
      backend().StartSend(sender, {&vector, 1});
    }
  };
  backend().StartSend(sender, {&vector, 1});
  backend().StartRecv(receiver);
  Turn(kPollOnly);
  for (size_t i = 1; i <= 50; ++i) {
    ASSERT_TRUE(SendAll(calm.peer.get(), "x"));
    const size_t before = sender.Count(Op::kSend);
    ASSERT_TRUE(PumpUntil([&] { return receiver.received().size() >= i; }));
    EXPECT_LE(sender.Count(Op::kSend) - before, 1100U);
  }
  stop = true;
  sender.then = nullptr;
  CloseAndPump(sender);
  reader.join();
}

}  // namespace
}  // namespace quintet::testing
