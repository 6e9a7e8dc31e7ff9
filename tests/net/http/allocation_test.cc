// Counts allocations: after warm-up a request costs none. An executable of its own, since it
// replaces operator new.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"

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

// A transport that keeps nothing: what is counted is the session's.
class SinkTransport final : public Transport {
 public:
  explicit SinkTransport(std::unique_ptr<Session> session) : session_(std::move(session)) {
    session_->Attach(*this);
    session_->OnOpen();
  }
  ~SinkTransport() { session_->OnClosed(CloseReason::kAborted); }

  size_t Feed(std::string_view bytes) {
    return session_->OnData(std::as_bytes(std::span(bytes.data(), bytes.size())));
  }
  size_t written() const { return written_; }

  void Write(std::string_view bytes) override { written_ += bytes.size(); }
  size_t output_bytes() const override { return 0; }
  bool output_blocked() const override { return false; }
  void Close() override {}
  void Abort(CloseReason /*reason*/) override {}
  void PauseReading() override {}
  void ResumeReading() override {}
  void SetDeadline(TimePoint /*deadline*/) override {}
  TimePoint now() const override { return TimePoint(); }
  std::shared_ptr<Executor> executor() override { return executor_; }

 private:
  std::unique_ptr<Session> session_;
  std::shared_ptr<MemoryExecutor> executor_ = std::make_shared<MemoryExecutor>();
  size_t written_ = 0;
};

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
