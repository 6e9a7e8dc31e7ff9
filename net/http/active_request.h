// What a session holds only while a request is in progress.
#ifndef QUINTET_NET_HTTP_ACTIVE_REQUEST_H_
#define QUINTET_NET_HTTP_ACTIVE_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>

#include "net/http/exchange.h"
#include "net/http/kept_buffer.h"
#include "net/http/request_reader.h"
#include "net/http/router.h"
#include "reactor/clock.h"

namespace quintet::http {

// Pooled per shard, so that an idle connection costs its session and nothing else, and a request no
// allocation.
struct ActiveRequest {
  RequestReader reader;
  Exchange exchange;
  std::string body;  // of a route that wants it whole

  Router::Match match;                   // for the head that the reader has read last
  const Router::Route* route = nullptr;  // null: the session answers by itself
  uint64_t body_limit = 0;               // bytes
  uint64_t discarded = 0;                // body bytes after the response was complete

  TimePoint started_at;   // first octet of the request line
  TimePoint arrived_at;   // last octets of the body, or the end of the head
  TimePoint replying_at;  // end of the request, or the handler's last output

  bool request_done = false;    // read to its end, and the handler knows
  bool last_delivered = false;  // BodyCallback was told the end
  bool body_seen = false;       // octets behind the head have arrived
  bool continue_sent = false;   // 100 went out
  // During a drain: the input that brought the last of this request goes on behind it.
  std::optional<bool> more_read;

  // As new, but for the buffers, and for the head read last with what it matched.
  void Reset() {
    FreeAbove(body, kKeptBodyBytes);
    body.clear();
    reader.Trim();
    route = nullptr;
    body_limit = 0;
    discarded = 0;
    request_done = false;
    last_delivered = false;
    body_seen = false;
    continue_sent = false;
    more_read.reset();
  }

  static constexpr size_t kKeptBodyBytes = 16 << 10;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_ACTIVE_REQUEST_H_
