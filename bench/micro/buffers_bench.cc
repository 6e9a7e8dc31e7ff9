// Bytes on their way out: blocks, the queue made of them, and the text of a response.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "benchmark/benchmark.h"
#include "net/block_pool.h"
#include "net/byte_queue.h"
#include "net/http/date_cache.h"
#include "net/http/response_writer.h"
#include "net/http/wall_clock.h"
#include "tests/support/sink_transport.h"

namespace quintet::http {

// Lets the writer work without a session and a request.
class ResponseWriterTestPeer {
 public:
  static void Start(ResponseWriter& writer, Transport& transport, DateCache& dates) {
    writer.Reset();
    writer.Start({.transport = &transport, .dates = &dates, .server_name = {}});
    writer.set_keep_alive(true);
  }
};

}  // namespace quintet::http

namespace quintet::bench {
namespace {

void TakeAndGiveBlock(benchmark::State& state) {
  BlockPool pool;
  const auto bytes = static_cast<size_t>(state.range(0));
  for (auto _ : state) pool.Give(pool.Take(bytes));
}
BENCHMARK(TakeAndGiveBlock)->ArgName("bytes")->Arg(100)->Arg(100'000);

// One reply on its way: appended, looked at, taken by the kernel.
void AppendAndConsume(benchmark::State& state) {
  const std::string reply(static_cast<size_t>(state.range(0)), 'x');
  const int64_t pieces = state.range(1);
  BlockPool pool;
  ByteQueue queue;
  for (auto _ : state) {
    for (int64_t i = 0; i < pieces; ++i) queue.Append(reply, pool);
    benchmark::DoNotOptimize(queue.bytes().data());
    queue.Consume(queue.size(), &pool);
  }
  state.SetItemsProcessed(state.iterations() * pieces);
  state.SetBytesProcessed(state.iterations() * pieces * state.range(0));
}
BENCHMARK(AppendAndConsume)
    ->ArgNames({"bytes", "pieces"})
    ->Args({130, 1})
    ->Args({130, 16})
    ->Args({64 << 10, 1});

// The floor of the same: the copy alone.
void CopyOnly(benchmark::State& state) {
  const std::string reply(static_cast<size_t>(state.range(0)), 'x');
  const auto block = std::make_unique<char[]>(reply.size());
  for (auto _ : state) {
    std::memcpy(block.get(), reply.data(), reply.size());
    benchmark::DoNotOptimize(block.get());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(CopyOnly)->ArgName("bytes")->Arg(130)->Arg(64 << 10);

class SilentSession final : public Session {
 public:
  size_t OnData(std::span<const std::byte> data) override { return data.size(); }
};

// The text of a response, from status to body.
void BuildResponse(benchmark::State& state, int fields, bool chunked) {
  testing::SinkTransport transport(std::make_unique<SilentSession>());
  const http::SystemWallClock clock;
  http::DateCache dates(clock);
  http::ResponseWriter writer;
  for (auto _ : state) {
    http::ResponseWriterTestPeer::Start(writer, transport, dates);
    for (int i = 0; i < fields; ++i) writer.AddField("X-Some-Field", "some value");
    if (chunked) {
      writer.Write("Hello, World!");
      writer.End();
    } else {
      writer.Send("Hello, World!");
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(static_cast<int64_t>(transport.written()));
}
BENCHMARK_CAPTURE(BuildResponse, hello, 0, false);
BENCHMARK_CAPTURE(BuildResponse, ten_fields, 10, false);
BENCHMARK_CAPTURE(BuildResponse, chunked, 0, true);

}  // namespace
}  // namespace quintet::bench
