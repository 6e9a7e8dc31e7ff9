// Counts allocations: after warm-up a request costs none. An executable of its own, since it
// replaces operator new.
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"
#include "tests/support/sink_transport.h"

namespace {
std::atomic<size_t> allocations = 0;
}  // namespace

// Not inlined: the compiler would take malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t /*size*/) noexcept {
  std::free(memory);
}

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
  const size_t before = allocations.load();
  for (int i = 0; i < 1000; ++i) serve();
  EXPECT_EQ(allocations.load() - before, 0U);
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

}  // namespace
}  // namespace quintet::testing
