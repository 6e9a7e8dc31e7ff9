// Reason phrases of the status codes.
#ifndef QUINTET_NET_HTTP_STATUS_H_
#define QUINTET_NET_HTTP_STATUS_H_

#include <string_view>

namespace quintet::http {

// The registered phrase (RFC 9110 section 15, RFC 6585), "Unknown" for a code without one.
std::string_view StatusReason(int status);

// 204 and 304 never have content, whatever the method (RFC 9110 section 6.4.1).
constexpr bool StatusHasContent(int status) { return status != 204 && status != 304; }

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_STATUS_H_
