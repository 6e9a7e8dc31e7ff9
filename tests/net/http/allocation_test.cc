// After warm-up a request costs no allocation of the session's; ceilings/allocations_test has the
// same with loop, backend and connection.
#include <malloc.h>

#include <memory>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"
#include "tests/support/counting_new.h"
#include "tests/support/sink_transport.h"

namespace quintet::testing {
namespace {

void ExpectNoAllocation(std::string_view request, size_t pieces) {
  const auto factory = *http::ServerSessionFactory::Create(MakeTestRouter());
  SinkTransport transport(factory->CreateSession());
  const size_t step = (request.size() + pieces - 1) / pieces;
  const auto serve = [&] {
    for (size_t at = 0; at < request.size(); at += step) transport.Feed(request.substr(at, step));
  };
  for (int i = 0; i < 10; ++i) serve();
  const size_t written = transport.written();
  const size_t before = Allocations();
  for (int i = 0; i < 1000; ++i) serve();
  EXPECT_EQ(Allocations() - before, 0U);
  EXPECT_EQ(transport.written() - written, 100 * written);
}

TEST(AllocationTest, Hello) { ExpectNoAllocation("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1); }

TEST(AllocationTest, HelloInPieces) { ExpectNoAllocation("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 5); }

TEST(AllocationTest, ManyFields) {
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 30; ++i) request += "X-Field-" + std::to_string(i) + ": some value\r\n";
  ExpectNoAllocation(request + "\r\n", 1);
}

TEST(AllocationTest, Pipelined) {
  std::string requests;
  for (int i = 0; i < 16; ++i) requests += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  ExpectNoAllocation(requests, 1);
}

TEST(AllocationTest, WholeBody) {
  ExpectNoAllocation(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'), 3);
}

TEST(AllocationTest, StreamedBody) {
  ExpectNoAllocation(
      "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      4);
}

TEST(AllocationTest, NotFound) {
  ExpectNoAllocation("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 1);
}

// Heap that is in use, in bytes.
size_t InUse() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(AllocationTest, LargeBuffersAreGivenBack) {
  const size_t without = InUse();
  const auto probe = std::make_unique<std::string>(1 << 20, 'x');
  if (InUse() < without + probe->size()) GTEST_SKIP() << "this allocator does not tell";

  const auto factory = *http::ServerSessionFactory::Create(MakeTestRouter());
  SinkTransport transport(factory->CreateSession());
  transport.Feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  constexpr size_t kLarge = 30000;
  const std::string text(kLarge, 'x');
  const size_t before = InUse();
  transport.Feed("GET /fields HTTP/1.1\r\nHost: a\r\nX: " + text + "\r\n\r\n");
  transport.Feed("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kLarge) +
                 "\r\n\r\n" + text);
  transport.Feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_GT(transport.written(), 2 * kLarge);
  EXPECT_LT(InUse(), before + kLarge / 4);
}

}  // namespace
}  // namespace quintet::testing
