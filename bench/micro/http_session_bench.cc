// What HTTP costs per request apart from the loop and the kernel: parse, route, answer.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/micro/outcome.h"
#include "benchmark/benchmark.h"
#include "net/http/router.h"
#include "net/http/server_session_factory.h"
#include "tests/support/sink_transport.h"

namespace quintet::bench {
namespace {

constexpr std::string_view kHello = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
// What a load generator of the h2load kind sends.
constexpr std::string_view kUsual =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: h2load nghttp2/1.52.0\r\n\r\n";
constexpr std::string_view kBrowser =
    "GET /about/us HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=all\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: none\r\n\r\n";
constexpr std::string_view kEcho =
    "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 16\r\n\r\n0123456789abcdef";

http::Router MakeRouter() {
  http::Router router;
  router.Get("/", [](http::Exchange& exchange) { exchange.Reply(200, "Hello, World!"); })
      .Get("/about/*", [](http::Exchange& exchange) { exchange.Reply(200, "about"); })
      .Post("/echo",
            [](http::Exchange& exchange) { exchange.Reply(200, exchange.request().body()); });
  return router;
}

// The last octet of its Host is another.
std::string WithAnotherHost(std::string_view request) {
  std::string other(request);
  other[other.find("\r\n", other.find("Host: ")) - 1] = '1';
  return other;
}

// `varied`: no head equals the one before; else all are equal, and read once.
void Serve(benchmark::State& state, std::string_view request, int64_t pipelined, bool varied) {
  const auto factory = http::ServerSessionFactory::Create(MakeRouter());
  if (!factory.ok()) return Fail(state, factory.status().ToString());
  testing::SinkTransport transport((*factory)->CreateSession());
  const std::string first(request);
  const std::string second = varied ? WithAnotherHost(request) : first;
  std::array<std::string, 2> arrivals;
  for (int64_t i = 0; i < 2 * pipelined; ++i) {
    arrivals[i < pipelined ? 0 : 1] += i % 2 == 0 ? first : second;
  }
  size_t turn = 0;
  for (auto _ : state) transport.Feed(arrivals[turn++ % 2]);
  if (transport.written() == 0) Fail(state, "no answer");
  state.SetItemsProcessed(state.iterations() * pipelined);
}

BENCHMARK_CAPTURE(Serve, hello, kHello, 1, false);
BENCHMARK_CAPTURE(Serve, usual_fields, kUsual, 1, false);
BENCHMARK_CAPTURE(Serve, browser_fields, kBrowser, 1, false);
BENCHMARK_CAPTURE(Serve, hello_varied, kHello, 1, true);
BENCHMARK_CAPTURE(Serve, usual_fields_varied, kUsual, 1, true);
BENCHMARK_CAPTURE(Serve, browser_fields_varied, kBrowser, 1, true);
BENCHMARK_CAPTURE(Serve, echo_16_bytes, kEcho, 1, false);
BENCHMARK_CAPTURE(Serve, hello_pipelined_16, kHello, 16, false);

// What each new connection pays before its first request, and after its last.
void OpenAndClose(benchmark::State& state) {
  const auto factory = http::ServerSessionFactory::Create(MakeRouter());
  if (!factory.ok()) return Fail(state, factory.status().ToString());
  for (auto _ : state) testing::SinkTransport transport((*factory)->CreateSession());
}
BENCHMARK(OpenAndClose);

}  // namespace
}  // namespace quintet::bench
