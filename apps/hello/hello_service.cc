#include "apps/hello/hello_service.h"

#include <string_view>
#include <utility>

#include "net/address.h"
#include "net/cgi/gateway.h"
#include "net/http/exchange.h"
#include "net/http/router.h"
#include "net/http/server_session_factory.h"

namespace quintet::hello {
namespace {

void Hello(http::Exchange& exchange) { exchange.Reply(200, "Hello, World!"); }

void Echo(http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  http::ResponseWriter& response = exchange.response();
  response.AddField("Content-Type", "application/octet-stream");
  // A length that is known is announced; what comes in chunks goes in chunks.
  if (!request.has_body()) response.SetContentLength(0);
  if (request.content_length()) response.SetContentLength(*request.content_length());

  exchange.OnBody([](http::Exchange& echo, std::string_view piece, bool last) {
    echo.response().Write(piece);
    if (last) return echo.response().End();
    if (echo.response().blocked()) echo.PauseBody();
  });
  exchange.OnDrained([](http::Exchange& echo) { echo.ResumeBody(); });
}

void Client(http::Exchange& exchange) {
  const absl::StatusOr<Address> address = exchange.PeerAddress();
  if (!address.ok()) return exchange.Reply(500, "unknown");
  exchange.Reply(200, address->ToString());
}

void Health(http::Exchange& exchange) {
  exchange.stopping() ? exchange.Reply(503, "stopping") : exchange.Reply(200, "ok");
}

}  // namespace

absl::StatusOr<std::unique_ptr<SessionFactory>> CreateHelloService(const http::Options& options,
                                                                   const cgi::Options& cgi) {
  http::Router router;
  router.Get("/", Hello);
  router.Get("/client", Client);
  router.Get("/healthz", Health);
  router.Post(
      "/echo", Echo,
      {.body = http::RouteOptions::Body::kStream, .body_bytes = http::RouteOptions::kUnlimited});
  if (!cgi.directory.empty()) {
    const auto gateway = cgi::Gateway::Create(cgi);
    if (!gateway.ok()) return gateway.status();
    gateway->Register(router);
  }
  return http::ServerSessionFactory::Create(std::move(router), options);
}

}  // namespace quintet::hello
