// Limits and deadlines of HTTP sessions.
#ifndef QUINTET_NET_HTTP_OPTIONS_H_
#define QUINTET_NET_HTTP_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "reactor/clock.h"

namespace quintet::http {

struct Limits {
  size_t request_line_bytes = 8 << 10;   // above: 414 (RFC 9112 section 3 asks for 8000 at least)
  size_t header_bytes = 32 << 10;        // all field lines of a request, also trailers; above: 431
  size_t header_count = 100;             // field lines; above: 431
  uint64_t body_bytes = 1 << 20;         // of routes that set no limit of their own; above: 413
  size_t chunk_line_bytes = 1 << 10;     // a chunk's size line with its extensions; above: 400
  uint64_t requests_per_connection = 0;  // then "Connection: close"; 0: no limit
};

// Each is measured on the monotonic clock. Zero: none.
struct Timeouts {
  // From the first byte of a request to the end of its header; above: 408.
  Duration header = std::chrono::seconds(10);
  // Between two arrivals of body bytes; above: 408.
  Duration body = std::chrono::seconds(30);
  // From the first byte of a request to the last byte of its body, however fast it drips, and from
  // there to the handler's reply; above: 408 while the request is incomplete, else an abort.
  Duration request = std::chrono::minutes(5);
  // Between two requests of a kept connection, and before the first.
  Duration keep_alive = std::chrono::seconds(75);
};

struct Options {
  Limits limits;
  Timeouts timeouts;
  std::string server_name;  // the Server field; empty: none is sent
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_OPTIONS_H_
