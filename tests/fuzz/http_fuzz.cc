// http::ServerSession on a transport in memory. However its input is cut and however slowly its
// output is taken, it gives the same output, hands the same requests to its handlers and closes, or
// not, all the same; and requests, answers and close are those that the model's reading of the
// framing asks for.
//
// Input: one octet, whose lowest bit asks for small limits, then what the peer sends.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "net/http/server_session_factory.h"
#include "tests/fuzz/cuts.h"
#include "tests/fuzz/http_framing_model.h"
#include "tests/net/http/http_peer.h"
#include "tests/support/memory_transport.h"
#include "tests/support/response_parser.h"

namespace quintet::testing {
namespace {

using http::Exchange;
using http::RouteOptions;

// A plain request line and a plain head are far below the limits of a server.
constexpr size_t kMaxInputBytes = 6000;
// Of a peer that reads slowly: how much it takes at a time.
constexpr size_t kSlowTakeBytes = 97;

struct Handled {
  std::string method;
  std::string target;
  std::string body;
  friend bool operator==(const Handled&, const Handled&) = default;
};

std::ostream& operator<<(std::ostream& out, const Handled& handled) {
  return out << handled.method << ' ' << handled.target << " [" << handled.body << ']';
}

struct Outcome {
  std::string output;
  std::vector<Handled> handled;  // in their order
  bool closed = false;
};

// Answers with less than what was asked, so that no answer looks like an interim response.
void Answer(Exchange& exchange, std::string body, std::vector<Handled>& log) {
  const std::string text = std::to_string(body.size());
  log.push_back({std::string(exchange.request().method()), std::string(exchange.request().target()),
                 std::move(body)});
  exchange.Reply(200, text);
}

// /stream/ collects the body as it comes, /early/ answers before it has come, all others are given
// it whole. GET (with it HEAD) and POST are served, other methods are known by their paths only.
http::Router MakeRouter(std::vector<Handled>& log) {
  const auto whole = [&log](Exchange& exchange) {
    Answer(exchange, std::string(exchange.request().body()), log);
  };
  const auto stream = [&log](Exchange& exchange) {
    exchange.OnBody(
        [&log, body = std::string()](Exchange& target, std::string_view piece, bool last) mutable {
          body.append(piece);
          if (last) Answer(target, std::move(body), log);
        });
  };
  const auto early = [](Exchange& exchange) { exchange.Reply(200, "early"); };
  RouteOptions streamed;
  streamed.body = RouteOptions::Body::kStream;
  http::Router router;
  router.Get("/*", whole).Post("/*", whole);
  router.Get("/stream/*", stream, streamed).Post("/stream/*", stream, streamed);
  router.Get("/early/*", early, streamed).Post("/early/*", early, streamed);
  return router;
}

// As MakeRouter() has it.
bool IsServed(const ModelRequest& request) {
  return request.method == "GET" || request.method == "HEAD" || request.method == "POST";
}
bool IsAnsweredEarly(const ModelRequest& request) {
  return !IsServed(request) || request.target.starts_with("/early/");
}

// Interim responses depend on when the body arrives, as they should.
std::string WithoutContinue(std::string output) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (size_t at = output.find(kContinue); at != std::string::npos;
       at = output.find(kContinue, at)) {
    output.erase(at, kContinue.size());
  }
  return output;
}

enum class Peer { kTakesAll, kTakesSlowly, kEndsItsSide };

// A server for one input: its connections come one after another on one thread, so that what one
// leaves behind in what they share would show in the next.
class Server {
 public:
  explicit Server(bool small_limits) {
    http::Options options;
    if (small_limits) {
      options.limits.request_line_bytes = 40;
      options.limits.header_bytes = 80;
      options.limits.header_count = 4;
      options.limits.chunk_line_bytes = 10;
      options.limits.body_bytes = 50;
      options.limits.requests_per_connection = 5;
    }
    auto factory = http::ServerSessionFactory::Create(MakeRouter(log_), options,
                                                      std::make_shared<FixedWallClock>());
    EXPECT_TRUE(factory.ok()) << factory.status();
    factory_ = *std::move(factory);
  }

  Outcome Converse(const Pieces& pieces, Peer kind) {
    log_.clear();
    const bool slow = kind == Peer::kTakesSlowly;
    MemoryTransport::Marks marks;
    if (slow) marks = {.high_bytes = 256, .low_bytes = 64};
    MemoryTransport transport(factory_->CreateSession(), marks);
    transport.set_auto_take(!slow);
    transport.Open();
    for (const std::string_view piece : pieces) {
      transport.Feed(piece);
      if (slow) transport.Take(kSlowTakeBytes);
    }
    while (transport.output_bytes() != 0) transport.Take(kSlowTakeBytes);
    if (kind == Peer::kEndsItsSide) {
      transport.FeedEof();
      EXPECT_TRUE(transport.closing()) << "open although the peer has closed";
    }
    EXPECT_FALSE(transport.aborted());
    return {.output = WithoutContinue(transport.received()),
            .handled = log_,
            .closed = transport.closing()};
  }

 private:
  std::vector<Handled> log_;
  std::unique_ptr<http::ServerSessionFactory> factory_;
};

void ExpectSame(const Outcome& outcome, const Outcome& whole, const std::string& how) {
  EXPECT_EQ(outcome.output, whole.output) << how;
  EXPECT_EQ(outcome.handled, whole.handled) << how;
  EXPECT_EQ(outcome.closed, whole.closed) << how;
}

// Each request that a handler saw is one of the model's, in their order, and none is left out
// before one that the session may have refused. `plain`: it may not have refused any.
void ExpectModelsRequests(const ModelStream& model, bool all_plain, const Outcome& outcome) {
  size_t seen = 0;
  bool may_have_closed = !all_plain;
  for (const ModelRequest& request : model.requests) {
    if (!request.complete) break;
    if (!request.plain) may_have_closed = true;
    if (!IsServed(request) || request.target.starts_with("/early/")) continue;
    const Handled expected{request.method, request.target, request.body};
    const bool next = seen < outcome.handled.size() && outcome.handled[seen] == expected;
    if (next) ++seen;
    EXPECT_TRUE(next || may_have_closed) << "not handled: " << expected;
  }
  EXPECT_EQ(seen, outcome.handled.size())
      << "handled, but no request: " << outcome.handled[std::min(seen, outcome.handled.size() - 1)];
}

// Where nothing but the framing counts: one answer for each request, and the close.
void ExpectModelsAnswers(const ModelStream& model, const Outcome& outcome) {
  const bool bad = model.end == ModelStream::End::kBad;
  size_t answers = 0;
  std::vector<size_t> heads;
  bool closed = model.end != ModelStream::End::kOpen;
  for (const ModelRequest& request : model.requests) {
    const bool last = &request == &model.requests.back();
    const bool early = request.head_complete && IsAnsweredEarly(request);
    if (!request.complete && !early && !(last && bad)) continue;
    if (request.method == "HEAD") heads.push_back(answers);
    ++answers;
    if (early && request.closes) closed = true;
  }
  const ParsedOutput parsed = ParseResponses(outcome.output, heads);
  EXPECT_EQ(parsed.rest, "");
  EXPECT_EQ(parsed.responses.size(), answers) << outcome.output;
  EXPECT_EQ(outcome.closed, closed) << outcome.output;
}

void CompareWithModel(std::string_view bytes, bool small_limits, const Outcome& outcome) {
  const ModelStream model = ReadStream(bytes);
  bool all_plain = !small_limits;
  for (const ModelRequest& request : model.requests) all_plain = all_plain && request.plain;
  ExpectModelsRequests(model, !small_limits, outcome);
  if (all_plain) ExpectModelsAnswers(model, outcome);
  if (model.end != ModelStream::End::kOpen) {
    EXPECT_TRUE(outcome.closed) << "open although no request can follow";
  }
}

}  // namespace
}  // namespace quintet::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quintet::testing;
  std::string_view bytes = InputText(data, size);
  if (bytes.empty() || bytes.size() > kMaxInputBytes) return 0;
  const bool small_limits = (bytes.front() & 1) != 0;
  bytes.remove_prefix(1);

  Server server(small_limits);
  const Outcome whole = server.Converse({bytes}, Peer::kTakesAll);
  CompareWithModel(bytes, small_limits, whole);
  const Outcome to_the_end = server.Converse({bytes}, Peer::kEndsItsSide);
  for (const Pieces& pieces : Cuts(bytes)) {
    const std::string how = "cut as " + Sizes(pieces);
    ExpectSame(server.Converse(pieces, Peer::kTakesAll), whole, how);
    ExpectSame(server.Converse(pieces, Peer::kTakesSlowly), whole, how + ", taken slowly");
    ExpectSame(server.Converse(pieces, Peer::kEndsItsSide), to_the_end, how + ", ended");
  }
  return 0;
}
