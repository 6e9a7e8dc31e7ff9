#include "reactor/buffer_ring.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <string>

#include "gtest/gtest.h"
#include "reactor/asan.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

class BufferRingTest : public ::testing::Test {
 protected:
  void SetUp() override { QUINTET_REQUIRE_URING(); }

  void Make(uint32_t count, uint32_t bytes) {
    auto ring = UringRing::Create({.sq_entries = 8, .cq_entries = 64});
    ASSERT_TRUE(ring.ok()) << ring.status();
    auto buffers = BufferRing::Create(**ring, count, bytes);
    ASSERT_TRUE(buffers.ok()) << buffers.status();
    ASSERT_TRUE((*ring)->Enable().ok());
    buffers_ = *std::move(buffers);
    ring_ = *std::move(ring);
    std::tie(reader_, writer_) = UnixPair();
  }
  void TearDown() override {
    if (reader_ >= 0) ::close(reader_);
    if (writer_ >= 0) ::close(writer_);
  }

  void ArmRecv() {
    io_uring_sqe* sqe = ring_->NextSqe();
    io_uring_prep_recv_multishot(sqe, reader_, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BufferRing::kGroup;
    ring_->Enter({});
  }
  void Write(const std::string& text) {
    ASSERT_EQ(::write(writer_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // What the kernel has delivered since: results, with the buffers taken.
  struct Arrival {
    int32_t result;
    uint16_t id;
    std::string bytes;
  };
  std::deque<Arrival> Reap() {
    std::deque<Arrival> arrivals;
    ring_->Enter({});
    ring_->Reap([&](const io_uring_cqe& cqe) {
      Arrival arrival{.result = cqe.res, .id = 0, .bytes = {}};
      if (cqe.res > 0) {
        arrival.id = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
        const auto data = buffers_->Take(arrival.id, static_cast<size_t>(cqe.res));
        arrival.bytes.assign(reinterpret_cast<const char*>(data.data()), data.size());
      }
      arrivals.push_back(arrival);
    });
    buffers_->Validate();
    return arrivals;
  }

  // In the order in which they must end.
  std::unique_ptr<BufferRing> buffers_;
  std::unique_ptr<UringRing> ring_;
  int reader_ = -1;
  int writer_ = -1;
};

TEST_F(BufferRingTest, RefusesSizesThatMakeNoSense) {
  auto ring = UringRing::Create({});
  ASSERT_TRUE(ring.ok());
  for (const auto& [count, bytes] :
       {std::pair<uint32_t, uint32_t>{0, 4096}, {3, 4096}, {65536, 16}, {4, 0}, {4, 1U << 30}}) {
    EXPECT_EQ(BufferRing::Create(**ring, count, bytes).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(BufferRingTest, GivesAllBuffersToTheKernelFirst) {
  Make(4, 16);
  EXPECT_EQ(buffers_->count(), 4u);
  EXPECT_EQ(buffers_->with_kernel(), 4u);
  EXPECT_EQ(buffers_->returned(), 0u);
  EXPECT_EQ(buffers_->taken(), 0u);
}

TEST_F(BufferRingTest, ReturnedBuffersReachTheKernelWithPublish) {
  Make(2, 4);
  ArmRecv();
  Write("abcdefgh");
  std::deque<Arrival> arrivals = Reap();
  // Two full buffers, then none left: ENOBUFS ends the receive.
  Write("x");
  for (const Arrival& arrival : Reap()) arrivals.push_back(arrival);
  ASSERT_EQ(arrivals.size(), 3u);
  EXPECT_EQ(arrivals[0].bytes, "abcd");
  EXPECT_EQ(arrivals[1].bytes, "efgh");
  EXPECT_EQ(arrivals[2].result, -ENOBUFS);
  EXPECT_EQ(buffers_->taken(), 2u);

  buffers_->Return(arrivals[1].id);
  EXPECT_EQ(buffers_->returned(), 1u);
  ArmRecv();
  arrivals = Reap();
  ASSERT_EQ(arrivals.size(), 1u);
  EXPECT_EQ(arrivals[0].result, -ENOBUFS) << "not published yet";

  buffers_->Publish();
  EXPECT_EQ(buffers_->with_kernel(), 1u);
  ArmRecv();
  arrivals = Reap();
  ASSERT_EQ(arrivals.size(), 1u);
  EXPECT_EQ(arrivals[0].bytes, "x");
}

// Far beyond the 16 bits of the tail, with two buffers in the air: bytes stay in order.
TEST_F(BufferRingTest, GoesRoundAndRound) {
  Make(4, 8);
  ArmRecv();
  std::string sent;
  std::string received;
  std::deque<uint16_t> held;
  for (int i = 0; i < 70000; ++i) {
    const std::string text = std::to_string(i % 1000);
    sent += text;
    Write(text);
    for (const Arrival& arrival : Reap()) {
      ASSERT_GT(arrival.result, 0);
      received += arrival.bytes;
      held.push_back(arrival.id);
    }
    while (held.size() > 2) {
      buffers_->Return(held.front());
      held.pop_front();
    }
    buffers_->Publish();
  }
  EXPECT_EQ(received, sent);
}

// Contract rule 4: who looks at a buffer that went back is caught.
TEST_F(BufferRingTest, PoisonsWhatIsNotTaken) {
#ifdef QUINTET_ASAN
  Make(2, 16);
  ArmRecv();
  Write("hello");
  ring_->Enter({});
  std::span<const std::byte> data;
  uint16_t id = 0;
  ring_->Reap([&](const io_uring_cqe& cqe) {
    id = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    data = buffers_->Take(id, static_cast<size_t>(cqe.res));
  });
  ASSERT_EQ(data.size(), 5u);
  EXPECT_EQ(std::memcmp(data.data(), "hello", 5), 0);
  const auto touch = [](const std::byte* byte) {
    volatile auto value = *byte;
    static_cast<void>(value);
  };
  touch(&data[4]);
  EXPECT_DEATH(touch(data.data() + 5), "use-after-poison");
  buffers_->Return(id);
  EXPECT_DEATH(touch(data.data()), "use-after-poison");
#else
  GTEST_SKIP() << "not built with AddressSanitizer";
#endif
}

}  // namespace
}  // namespace quintet
