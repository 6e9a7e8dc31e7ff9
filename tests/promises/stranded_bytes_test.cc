// Promise 9: no byte is stranded, under edge triggering neither, whatever the budgets: a stream in
// random chunks through a session that pauses, resumes and consumes at random, and back.
#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/promises/promise_fixture.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

// FNV-1a, 64 bits.
class Digest {
 public:
  void Add(std::string_view bytes) {
    for (const char byte : bytes) {
      value_ = (value_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
    size_ += bytes.size();
  }
  friend bool operator==(const Digest&, const Digest&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Digest& digest) {
    return out << digest.size_ << " bytes, digest " << std::hex << digest.value_ << std::dec;
  }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
  uint64_t size_ = 0;
};

using Random = std::mt19937_64;
size_t Below(Random& random, size_t bound) { return random() % bound; }
// Sizes of every order of magnitude up to `largest`.
size_t AnySize(Random& random, size_t largest) {
  return 1 + Below(random, std::min(largest, size_t{1} << Below(random, 20)));
}

// Echoes; what it does besides is decided by chance.
class FickleSession final : public Session {
 public:
  FickleSession(EventLoop& loop, Random& random, Digest& seen)
      : loop_(loop), random_(random), seen_(seen) {}

  size_t OnData(std::span<const std::byte> data) override {
    size_t taken = data.size();
    const size_t choice = Below(random_, 8);
    if (choice == 0) taken = Below(random_, data.size() + 1);
    if (choice <= 1) transport().PauseReading();
    const std::string_view bytes(reinterpret_cast<const char*>(data.data()), taken);
    seen_.Add(bytes);
    transport().Write(bytes);
    if (choice <= 1) ResumeLater();
    // Paused and resumed within the callback.
    if (choice == 2) transport().PauseReading();
    if (choice == 2) transport().ResumeReading();
    return taken;
  }
  void OnEof() override { transport().Close(); }
  void OnClosed(CloseReason) override { loop_.Cancel(timer_); }

 private:
  void ResumeLater() {
    const Duration delay =
        Below(random_, 4) == 0 ? Duration(Below(random_, 300'000)) : Duration::zero();
    timer_ = loop_.RunAfter(delay, [this] { transport().ResumeReading(); });
  }

  EventLoop& loop_;
  Random& random_;
  Digest& seen_;
  TimerHandle timer_;
};

uint64_t Seed() {
  const char* const given = std::getenv("QUINTET_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

class StrandedBytesTest : public PromiseTest {
 protected:
  // Sends `total` bytes in chunks, and reads what comes back until the end of file.
  struct Traffic {
    Digest sent;
    Digest returned;
    int error = -1;
  };

  void Run(SocketPair pair, size_t total, size_t completions_per_turn) {
    const uint64_t seed = Seed();
    SCOPED_TRACE("QUINTET_TEST_SEED=" + std::to_string(seed));
    EventLoopOptions options = LoopOptions();
    // A budget of one stops in the middle of everything.
    options.max_completions_per_turn = completions_per_turn;
    auto loop = EventLoop::Create(options);
    ASSERT_TRUE(loop.ok()) << loop.status();
    ASSERT_EQ((*loop)->backend().kind(), GetParam());
    ConnectionGroup group(**loop, {.write_stall_timeout = std::chrono::seconds(60)});
    Random random(seed);
    Digest seen;
    ASSERT_TRUE(group
                    .Adopt(Socket(pair.ours.Release()),
                           std::make_unique<FickleSession>(**loop, random, seen))
                    .ok());
    const int peer = pair.peer.get();
    Traffic traffic;
    std::thread sender([&] { SendChunks(peer, total, seed + 1, traffic.sent); });
    std::thread reader([&] { traffic.error = ReadChunks(peer, seed + 2, traffic.returned); });
    const TimePoint give_up = (*loop)->clock().Now() + std::chrono::seconds(120);
    while (group.size() > 0 && (*loop)->clock().Now() < give_up) {
      (*loop)->RunOnce(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(group.size(), 0U) << "stranded";
    // Frees the threads where it was.
    if (group.size() > 0) ::shutdown(peer, SHUT_RDWR);
    sender.join();
    reader.join();
    EXPECT_EQ(traffic.error, 0);
    EXPECT_EQ(seen, traffic.sent);
    EXPECT_EQ(traffic.returned, traffic.sent);
  }

 private:
  static void SendChunks(int fd, size_t total, uint64_t seed, Digest& sent) {
    Random random(seed);
    const std::string pattern = PatternBytes(4 << 20, static_cast<uint32_t>(seed));
    while (total > 0) {
      const size_t size = std::min(total, AnySize(random, 1 << 20));
      const std::string_view chunk(pattern.data() + Below(random, pattern.size() - size), size);
      if (!SendAll(fd, chunk)) return;
      sent.Add(chunk);
      total -= size;
      // Lets the other side empty its socket, so that edges come and go.
      if (Below(random, 8) == 0) std::this_thread::yield();
    }
    ::shutdown(fd, SHUT_WR);
  }

  // Returns 0 at the end of file, or the errno.
  static int ReadChunks(int fd, uint64_t seed, Digest& returned) {
    Random random(seed);
    std::vector<char> chunk(1 << 20);
    for (;;) {
      const ssize_t got = ::recv(fd, chunk.data(), AnySize(random, chunk.size()), 0);
      if (got <= 0) return got < 0 ? errno : 0;
      returned.Add({chunk.data(), static_cast<size_t>(got)});
      if (Below(random, 64) == 0) std::this_thread::yield();
    }
  }
};

TEST_P(StrandedBytesTest, Tcp) { Run(MakeTcpPair(), static_cast<size_t>(Scaled(64)) << 20, 512); }

// Sockets that are full, or empty, all the time. Not TCP: it waits for timers then.
TEST_P(StrandedBytesTest, UnixWithSmallBuffers) {
  SocketPair pair = MakeUnixPair();
  const int small = 4096;
  ::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  ::setsockopt(pair.peer.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  Run(std::move(pair), static_cast<size_t>(Scaled(16)) << 20, 4);
}

TEST_P(StrandedBytesTest, UnixWithABudgetOfOne) {
  Run(MakeUnixPair(), static_cast<size_t>(Scaled(32)) << 20, 1);
}

INSTANTIATE_TEST_SUITE_P(Backends, StrandedBytesTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
