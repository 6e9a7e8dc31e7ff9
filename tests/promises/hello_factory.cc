#include "tests/promises/hello_factory.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include "net/http/router.h"
#include "net/http/server_session_factory.h"

namespace quintet::testing {
namespace {

void Echo(http::Exchange& exchange) {
  if (exchange.request().content_length()) {
    exchange.response().SetContentLength(*exchange.request().content_length());
  }
  exchange.OnBody([](http::Exchange& echo, std::string_view piece, bool last) {
    echo.response().Write(piece);
    if (last) return echo.response().End();
    if (echo.response().blocked()) echo.PauseBody();
  });
  exchange.OnDrained([](http::Exchange& echo) { echo.ResumeBody(); });
}

void Later(http::Exchange& exchange) {
  std::thread([handle = exchange.Defer()] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    handle.Run([](http::Exchange& late) { late.Reply(200, "from another thread"); });
  }).detach();
}

}  // namespace

std::unique_ptr<SessionFactory> MakeHelloFactory(const http::Options& options,
                                                 std::shared_ptr<const http::WallClock> clock) {
  http::Router router;
  router.Get("/", [](http::Exchange& exchange) { exchange.Reply(200, "Hello, World!"); });
  router.Get("/later", Later);
  router.Post("/whole",
              [](http::Exchange& exchange) { exchange.Reply(200, exchange.request().body()); });
  router.Post(
      "/echo", Echo,
      {.body = http::RouteOptions::Body::kStream, .body_bytes = http::RouteOptions::kUnlimited});
  auto factory = http::ServerSessionFactory::Create(std::move(router), options, std::move(clock));
  EXPECT_TRUE(factory.ok()) << factory.status();
  return *std::move(factory);
}

}  // namespace quintet::testing
