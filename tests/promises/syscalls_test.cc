// System calls per hello request, from the backend's own counters: 2 + 1/B on readiness backends,
// where B is the number of requests served by one wait, and below 1 on io_uring.
#include <string>
#include <vector>

#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

class SyscallsTest : public PromiseTest {
 protected:
  struct Count {
    double requests = 0;
    double waits = 0;    // wait_syscalls
    double updates = 0;  // update_syscalls
    double io = 0;       // io_syscalls
    double total() const { return waits + updates + io; }
  };

  void TearDown() override {
    clients_.clear();
    PromiseTest::TearDown();
  }

  void Start(size_t connections) {
    MakeGroup();
    factory_ = MakeHelloFactory();
    for (size_t i = 0; i < connections; ++i) clients_.push_back(Connect(factory_->CreateSession()));
    // Registrations, and the length of a reply.
    ASSERT_TRUE(SendAll(clients_.front().get(), kRequest));
    RunFor(std::chrono::milliseconds(5));
    char reply[1024];
    const ssize_t bytes = ::recv(clients_.front().get(), reply, sizeof(reply), MSG_DONTWAIT);
    ASSERT_GT(bytes, 0);
    reply_bytes_ = static_cast<size_t>(bytes);
    Round();
  }

  // Every client sends a request; the loop runs until every reply was handed to the kernel.
  void Round() {
    const uint64_t target = group()->counters().bytes_out + clients_.size() * reply_bytes_;
    for (const Fd& client : clients_) ASSERT_TRUE(SendAll(client.get(), kRequest));
    const TimePoint deadline = loop().clock().Now() + kPatience;
    while (group()->counters().bytes_out < target) {
      ASSERT_LT(loop().clock().Now(), deadline);
      loop().RunOnce(std::chrono::seconds(1));
    }
    for (const Fd& client : clients_) {
      ASSERT_EQ(ReceiveExactly(client.get(), reply_bytes_).size(), reply_bytes_);
    }
  }

  Count Measure(int rounds) {
    const BackendStats before = loop().backend().stats();
    for (int i = 0; i < rounds; ++i) Round();
    const BackendStats& after = loop().backend().stats();
    Count count;
    count.requests = static_cast<double>(rounds) * static_cast<double>(clients_.size());
    count.waits = static_cast<double>(after.wait_syscalls - before.wait_syscalls);
    count.updates = static_cast<double>(after.update_syscalls - before.update_syscalls);
    count.io = static_cast<double>(after.io_syscalls - before.io_syscalls);
    RecordProperty("syscalls_per_1000_requests",
                   static_cast<int>(1000 * count.total() / count.requests));
    return count;
  }

  std::unique_ptr<SessionFactory> factory_;
  std::vector<Fd> clients_;
  size_t reply_bytes_ = 0;
};

TEST_P(SyscallsTest, PerRequestAt64Connections) {
  ASSERT_NO_FATAL_FAILURE(Start(64));
  const Count count = Measure(50);
  const double per_request = count.total() / count.requests;
  if (GetParam() == BackendKind::kIoUring) {
    EXPECT_LT(per_request, 1.0);
    EXPECT_EQ(count.io, 0) << "receives and sends go through the ring";
    return;
  }
  // Now and then a reply finds the clock's second over, a wait finds a part of the requests: both
  // are in the formula. The slack is for a receive that is tried once more.
  const double batch = count.requests / count.waits;
  EXPECT_LE(per_request, 2.0 + 1.0 / batch + 0.02);
  EXPECT_GE(count.io, 2 * count.requests) << "not counted";
  EXPECT_EQ(count.updates, 0) << "a steady connection is never registered anew";
  EXPECT_GT(batch, 1.0);
}

// B = 1: a single connection costs a readiness backend exactly three.
TEST_P(SyscallsTest, PerRequestAtOneConnection) {
  ASSERT_NO_FATAL_FAILURE(Start(1));
  const Count count = Measure(200);
  EXPECT_LE(count.total() / count.requests, 3.05);
}

INSTANTIATE_TEST_SUITE_P(Backends, SyscallsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
