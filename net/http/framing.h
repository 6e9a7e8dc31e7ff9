// What the fields of a request say about its body and its connection.
#ifndef QUINTET_NET_HTTP_FRAMING_H_
#define QUINTET_NET_HTTP_FRAMING_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "net/http/field.h"

namespace quintet::http {

enum class BodyKind : uint8_t { kNone, kLength, kChunked };

struct Framing {
  int status = 0;  // 0, or the status to refuse the request with
  BodyKind body = BodyKind::kNone;
  bool has_length = false;  // there is a Content-Length field
  uint64_t length = 0;      // its value
  bool keep_alive = false;  // RFC 9112 section 9.3
  bool expect_continue = false;
  bool expectation_failed = false;  // another expectation: 417
  std::string_view host;            // the Host field
};

// Applies the rules on Host (RFC 9112 section 3.2), Content-Length and Transfer-Encoding (sections
// 6.1 to 6.3), Connection (section 9.3) and Expect (RFC 9110 section 10.1.1). Wherever the RFC
// leaves the choice between repairing and refusing an ambiguous framing, it is refused.
Framing ReadFraming(int minor_version, std::span<const Field> fields);

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_FRAMING_H_
