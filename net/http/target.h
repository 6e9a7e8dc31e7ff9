// The four forms of a request target (RFC 9112 section 3.2) and the grammar of hosts.
#ifndef QUINTET_NET_HTTP_TARGET_H_
#define QUINTET_NET_HTTP_TARGET_H_

#include <string_view>

namespace quintet::http {

// A target taken apart. The views point into the text it was made from, or are literals.
struct Target {
  int status = 0;              // 0, or the status to refuse the request with
  std::string_view path;       // never empty but for CONNECT; "*" for the asterisk form
  std::string_view query;      // without the question mark
  std::string_view authority;  // of the absolute and the authority form, else empty
};

// `text` holds target characters only (HeadScanner has seen to that). Refuses a form that does not
// fit the method, bad percent-encoding, user information (RFC 9110 section 4.2.4) and an empty host
// with 400; "https" with 421, since this connection is not secured (RFC 9110 section 7.4).
Target ParseTarget(std::string_view method, std::string_view text);

// uri-host [ ":" port ], with a host and, where there is a port, one that fits 16 bits. Stricter
// than RFC 3986 in one point: no comma, so that no joined list of hosts passes for one.
bool IsValidHost(std::string_view text);

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_TARGET_H_
