#include "tests/net/http/http_peer.h"

#include <stdexcept>
#include <utility>

#include "gtest/gtest.h"

namespace quintet::testing {
namespace {

using http::Exchange;
using http::RouteOptions;

void Stream(Exchange& exchange) {
  exchange.OnBody([](Exchange& target, std::string_view piece, bool last) {
    target.response().Write(piece);
    if (last) return target.response().End();
    if (target.response().blocked()) target.PauseBody();
  });
  exchange.OnDrained([](Exchange& target) { target.ResumeBody(); });
}

void About(Exchange& exchange) {
  const http::Request& request = exchange.request();
  std::string text;
  text.append(request.host()).append("|").append(request.path()).append("|");
  text.append(request.query()).append("|").append(request.path_rest()).append("|");
  text.append(std::to_string(request.minor_version()));
  exchange.Reply(200, text);
}

void Fields(Exchange& exchange) {
  std::string text;
  for (const http::Field& field : exchange.request().fields()) {
    text.append(field.name).append("=[").append(field.value).append("]\n");
  }
  exchange.Reply(200, text);
}

}  // namespace

http::Router MakeTestRouter(std::vector<http::ExchangeHandle>* late) {
  const auto echo = [](Exchange& exchange) { exchange.Reply(200, exchange.request().body()); };
  const auto defer = [late](Exchange& exchange) { late->push_back(exchange.Defer()); };
  RouteOptions small;
  small.body_bytes = 10;
  RouteOptions stream;
  stream.body = RouteOptions::Body::kStream;
  stream.body_bytes = RouteOptions::kUnlimited;
  RouteOptions length;
  length.length_required = true;

  http::Router router;
  router.Get("/", [](Exchange& exchange) { exchange.Reply(200, "Hello, World!"); })
      .Post("/echo", echo)
      .Post("/stream", Stream, stream)
      .Post("/small", echo, small)
      .Post(
          "/length", [](Exchange& exchange) { exchange.Reply(200, "ok"); }, length)
      .Get("/about", About)
      .Get("/about/*", About)
      .Get("/fields", Fields)
      .Get("/throw", [](Exchange&) { throw std::runtime_error("handler"); })
      .Get("/silent", [](Exchange&) {});
  if (late != nullptr) router.Get("/late", defer).Post("/late", defer);
  return router;
}

HttpPeer::HttpPeer(const Setup& setup, std::unique_ptr<http::Router> router) {
  auto factory = http::ServerSessionFactory::Create(
      router != nullptr ? std::move(*router) : MakeTestRouter(&late_), setup.options,
      std::make_shared<FixedWallClock>());
  EXPECT_TRUE(factory.ok()) << factory.status();
  factory_ = *std::move(factory);
  transport_ = std::make_unique<MemoryTransport>(factory_->CreateSession(), setup.marks);
  transport_->Open();
}

}  // namespace quintet::testing
