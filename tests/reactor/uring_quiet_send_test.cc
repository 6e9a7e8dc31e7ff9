// Sends that are silent when they succeed, where queues overflow and sockets have little room.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "reactor/uring_backend.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

// Sends its stream piece by piece, the next as soon as it hears of the last.
class Sender final : public Source {
 public:
  Sender(UringBackend& backend, int fd, std::string stream)
      : Source(fd), backend_(backend), stream_(std::move(stream)) {}

  void Begin() {
    EXPECT_TRUE(backend_.Add(*this).ok());
    SendNext();
  }
  bool done() const { return sent_ == stream_.size(); }
  bool closed() const { return closed_; }
  size_t short_sends() const { return short_sends_; }

  void OnCompletion(const Completion& completion) override {
    switch (completion.op) {
      case Op::kSend:
        ASSERT_GT(completion.result, 0);
        ASSERT_LE(static_cast<size_t>(completion.result), piece_.iov_len);
        short_sends_ += static_cast<size_t>(completion.result) < piece_.iov_len ? 1 : 0;
        sent_ += static_cast<size_t>(completion.result);
        SendNext();
        return;
      case Op::kClosed:
        closed_ = true;
        return;
      default:
        return;
    }
  }

 private:
  void SendNext() {
    if (done()) return;
    piece_ = {stream_.data() + sent_, std::min<size_t>(16'000, stream_.size() - sent_)};
    backend_.StartLazySend(*this, {&piece_, 1});
  }

  UringBackend& backend_;
  std::string stream_;
  iovec piece_{};
  size_t sent_ = 0;
  size_t short_sends_ = 0;
  bool closed_ = false;
};

std::string Stream(size_t number, size_t bytes) {
  std::string stream(bytes, '\0');
  for (size_t k = 0; k < bytes; ++k) {
    stream[k] = static_cast<char>((number * 31 + k * 7 + k / 251) & 0xff);
  }
  return stream;
}

// In silence nothing may be taken for success that was none, or twice for the same.
TEST(UringQuietSendTest, StreamsAreExactWhereQueuesOverflowAndRoomIsScarce) {
  QUINTET_REQUIRE_URING();
  constexpr size_t kStreams = 40;
  constexpr size_t kBytes = 150'000;
  auto driver = BackendDriver::Make({.sq_entries = 8, .cq_entries = 8});
  std::vector<std::unique_ptr<Sender>> senders;
  std::vector<int> peers;
  std::vector<std::string> received(kStreams);
  for (size_t i = 0; i < kStreams; ++i) {
    const auto [ours, theirs] = UnixPair();  // take parts of small sends, as TCP hardly does
    const int small = 1;                     // brought up to the least there is
    ::setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    peers.push_back(theirs);
    senders.push_back(std::make_unique<Sender>(**driver, ours, Stream(i, kBytes)));
    senders.back()->Begin();
  }
  // Multishot receives that bring more than the completion queue holds.
  std::vector<int> noise;
  for (int i = 0; i < 300; ++i) {
    const auto [ours, theirs] = TcpPair();
    noise.push_back(theirs);
    (*driver)->StartRecv(driver->Attach(ours));
  }
  size_t round = 0;
  std::string buffer(20'000, '\0');
  ASSERT_TRUE(driver->RunUntil([&] {
    ++round;
    bool done = true;
    for (size_t i = 0; i < kStreams; ++i) {
      // Slower than it is sent, so that room is scarce.
      const bool reads = (i + round) % 2 == 0;
      const ssize_t bytes =
          reads ? ::recv(peers[i], buffer.data(), buffer.size(), MSG_DONTWAIT) : 0;
      if (bytes > 0) received[i].append(buffer, 0, static_cast<size_t>(bytes));
      done = done && received[i].size() >= kBytes && senders[i]->done();
    }
    for (const int peer : noise) {
      static_cast<void>(::send(peer, "noise", 5, MSG_DONTWAIT | MSG_NOSIGNAL));
    }
    return done;
  }));
  size_t short_sends = 0;
  for (size_t i = 0; i < kStreams; ++i) {
    EXPECT_EQ(received[i], Stream(i, kBytes)) << i;
    short_sends += senders[i]->short_sends();
    (*driver)->Close(*senders[i], CloseMode::kClose);
  }
  EXPECT_GT(short_sends, 0U);
  EXPECT_GT((*driver)->stats().cq_overflows, 0U);
  EXPECT_TRUE(driver->RunUntil([&] {
    return std::all_of(senders.begin(), senders.end(), [](auto& s) { return s->closed(); });
  }));
  for (const int peer : peers) ::close(peer);
  for (const int peer : noise) ::close(peer);
  driver->Drain();
}

}  // namespace
}  // namespace quintet
