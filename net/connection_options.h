// Limits and deadlines of one connection.
#ifndef QUINTET_NET_CONNECTION_OPTIONS_H_
#define QUINTET_NET_CONNECTION_OPTIONS_H_

#include <chrono>
#include <cstddef>

#include "reactor/clock.h"

namespace quintet {

struct ConnectionOptions {
  // Output above the high mark stops receiving; at the low mark it goes on. In bytes.
  size_t output_high_mark = 64 << 10;
  size_t output_low_mark = 16 << 10;
  // A session that writes more than this ahead of its peer is closed (kOutputLimit). In bytes; one
  // reply must fit, so it is far above the marks.
  size_t output_cap = 16 << 20;
  // A larger cap counts as this one: blocks of output have 32-bit sizes, and grow by half.
  static constexpr size_t kMaxOutputCap = size_t{1} << 30;

  // How long the peer may take not a single byte of waiting output. Zero: for ever.
  Duration write_stall_timeout = std::chrono::seconds(30);
  // How long input is discarded after the last reply and FIN, waiting for the peer's FIN.
  Duration linger_timeout = std::chrono::seconds(5);
  // Input discarded at most meanwhile, in bytes: a peer that floods is not listened to longer.
  size_t linger_cap = 1 << 20;
};

}  // namespace quintet

#endif  // QUINTET_NET_CONNECTION_OPTIONS_H_
