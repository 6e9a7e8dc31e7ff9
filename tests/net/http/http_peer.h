// A server session with a set of routes, and what a peer sees of it.
#ifndef QUINTET_TESTS_NET_HTTP_HTTP_PEER_H_
#define QUINTET_TESTS_NET_HTTP_HTTP_PEER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/server_session_factory.h"
#include "tests/support/memory_transport.h"
#include "tests/support/response_parser.h"

namespace quintet::testing {

// 2026-03-01 12:34:56 GMT, or what the test sets.
class FixedWallClock final : public http::WallClock {
 public:
  std::chrono::system_clock::time_point Now() const override { return time; }

  std::chrono::system_clock::time_point time{std::chrono::seconds(1772368496)};
};

// GET  /         "Hello, World!"
// POST /echo     the whole body, up to the limit
// POST /stream   the body as it comes, without limit
// POST /small    the whole body, up to 10 bytes
// POST /length   "ok"; needs a Content-Length
// GET  /about    host, path, query, rest and minor version of the request; also below /about/
// GET  /late     deferred: the handle goes to `late`
// POST /late     likewise, when the whole body is there
// GET  /fields   all fields of the request, a line each
// GET  /throw    throws
// GET  /silent   returns without an answer
http::Router MakeTestRouter(std::vector<http::ExchangeHandle>* late = nullptr);

// One connection to a server of its own.
class HttpPeer {
 public:
  struct Setup {
    http::Options options;
    MemoryTransport::Marks marks;
  };

  HttpPeer() : HttpPeer(Setup()) {}
  explicit HttpPeer(const Setup& setup) : HttpPeer(setup, nullptr) {}
  // With the test's routes instead; null: MakeTestRouter().
  HttpPeer(const Setup& setup, std::unique_ptr<http::Router> router);

  MemoryTransport& transport() { return *transport_; }
  // Handles of deferred exchanges, the oldest first.
  std::vector<http::ExchangeHandle>& late() { return late_; }

  // What has been received so far, taken apart.
  ParsedOutput Parse(const std::vector<size_t>& heads = {}) const {
    return ParseResponses(transport_->received(), heads);
  }

 private:
  std::vector<http::ExchangeHandle> late_;
  std::unique_ptr<http::ServerSessionFactory> factory_;
  std::unique_ptr<MemoryTransport> transport_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_HTTP_HTTP_PEER_H_
