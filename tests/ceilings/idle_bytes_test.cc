// Bytes of heap that an idle HTTP connection costs, with what malloc adds and with its share of
// each table. Memory of the kernel is not in it, nor what the loop's pools keep after a burst,
// which is bounded.
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/ceilings.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

// Tables grow in steps, so a connection's share of them depends on how many there are; just above a
// power of two it would show if one doubled. Select takes descriptors below 1024, and some are
// taken.
constexpr int kFewConnections = 530;
constexpr int kConnections = 960;
constexpr double kPromisedBytes = 400;
// The clients' descriptors go here and beyond: tables by descriptor are as long as in a server.
constexpr int kClientFds = 4096;

size_t HeapBytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

class IdleBytesTest : public PromiseTest {
 protected:
  void SetUp() override {
    PromiseTest::SetUp();
    if (IsSkipped()) return;
    if (kAddressSanitizer || kThreadSanitizer) GTEST_SKIP() << "the sanitizer's malloc is another";
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit raised = before_;
    raised.rlim_cur = raised.rlim_max;
    if (raised.rlim_max < kClientFds + kConnections + 100) {
      GTEST_SKIP() << "RLIMIT_NOFILE is " << raised.rlim_max;
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &raised), 0);
    clients_.reserve(kConnections + 1);
  }
  void TearDown() override {
    clients_.clear();
    PromiseTest::TearDown();
    if (before_.rlim_max != 0) ::setrlimit(RLIMIT_NOFILE, &before_);
  }

  // One after another, so that the pools hold what one request needs.
  void ConnectAndAsk() {
    Fd client = Connect(factory_->CreateSession());
    client = Fd(::fcntl(client.get(), F_DUPFD_CLOEXEC, kClientFds));
    ASSERT_TRUE(client);
    const uint64_t target = group()->counters().bytes_out + 1;
    ASSERT_TRUE(SendAll(client.get(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    ASSERT_TRUE(RunUntil([&] { return group()->counters().bytes_out >= target; }));
    clients_.push_back(std::move(client));
  }

  const std::unique_ptr<SessionFactory> factory_ = MakeHelloFactory();

  std::vector<Fd> clients_;

 private:
  rlimit before_{};
};

TEST_P(IdleBytesTest, PerHttpConnection) {
  MakeGroup();
  ASSERT_NO_FATAL_FAILURE(ConnectAndAsk());
  const size_t before = HeapBytes();
  for (const int connections : {kFewConnections, kConnections}) {
    while (clients_.size() <= static_cast<size_t>(connections)) {
      ASSERT_NO_FATAL_FAILURE(ConnectAndAsk());
    }
    const double per_connection = static_cast<double>(HeapBytes() - before) / connections;
    ExpectBelowCeiling("idle_bytes/" + std::to_string(connections), BackendName(GetParam()),
                       per_connection, kExactMargin);
    EXPECT_LE(per_connection, kPromisedBytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, IdleBytesTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
