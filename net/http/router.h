// Which handler answers which request.
#ifndef QUINTET_NET_HTTP_ROUTER_H_
#define QUINTET_NET_HTTP_ROUTER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "net/http/exchange.h"

namespace quintet::http {

// Called on the threads of all shards at the same time, hence const.
using Handler = absl::AnyInvocable<void(Exchange&) const>;

struct RouteOptions {
  enum class Body : uint8_t {
    kWhole,   // the handler is called when the whole body is there, in Request::body()
    kStream,  // it is called at the end of the head and takes the body by Exchange::OnBody()
  };
  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

  Body body = Body::kWhole;
  // Largest body in bytes, above: 413; none: Limits::body_bytes.
  std::optional<uint64_t> body_bytes;
  // Requests without Content-Length get 411 (RFC 9110 section 15.5.12).
  bool length_required = false;
};

// Filled at set-up, then handed to a ServerSessionFactory and shared by all shards, unchanging.
//
// Patterns are compared with the undecoded path: "/status" matches exactly that; "/files/*" matches
// what begins with "/files/", the longest such pattern winning, after the exact ones. A GET handler
// also serves HEAD, the writer leaving out the body; OPTIONS and 405 with Allow are answered from
// what is registered. TRACE and CONNECT cannot be.
class Router {
 public:
  struct Route {
    std::string method;
    Handler handler;
    RouteOptions options;
  };
  struct Match {
    const Route* route = nullptr;  // null: nobody answers
    bool path_known = false;       // other methods have a route
    std::string_view allow;        // for Allow: the methods of the path, else of the whole server
    std::string_view rest;         // of the path, behind a prefix pattern
  };

  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // Registers a handler. What is wrong (method, pattern, doubled route, no handler) shows in
  // status().
  Router& Handle(std::string_view method, std::string_view pattern, Handler handler,
                 RouteOptions options = {});
  Router& Get(std::string_view pattern, Handler handler, RouteOptions options = {});
  Router& Post(std::string_view pattern, Handler handler, RouteOptions options = {});

  // The first thing that was wrong at registration.
  const absl::Status& status() const { return status_; }

  // Any thread, while nothing is registered. The views live as long as the router and the path.
  Match Find(std::string_view method, std::string_view path) const;

 private:
  // What is registered for one pattern.
  struct Endpoint {
    std::vector<std::unique_ptr<Route>> routes;
    std::string allow;
  };

  absl::Status Add(std::string_view method, std::string_view pattern, Handler handler,
                   RouteOptions options);
  static const Route* FindRoute(const Endpoint& endpoint, std::string_view method);
  static void AddMethod(std::string_view method, std::string& allow);

  absl::flat_hash_map<std::string, Endpoint> exact_;
  std::vector<std::pair<std::string, Endpoint>> prefixes_;  // the longest first
  std::string allow_ = "OPTIONS";                           // of the server as a whole
  absl::Status status_;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_ROUTER_H_
