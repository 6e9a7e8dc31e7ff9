// What a program is told of its request: the meta-variables of RFC 3875 section 4.1.
#ifndef QUINTET_NET_CGI_REQUEST_H_
#define QUINTET_NET_CGI_REQUEST_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/http/field.h"

namespace quintet::cgi {

// A request as a program sees it. Holds views: for making an environment out of it, at once.
struct Request {
  std::string_view method;
  int http_minor_version = 1;
  std::string_view target;  // as received
  std::string_view query;   // undecoded
  std::string_view host;    // with its port, if any; may be empty
  std::span<const http::Field> fields;
  // Of a request with a body. (Bodies of unknown length are not given to programs.)
  std::optional<uint64_t> content_length;

  std::string_view script_name;      // decoded, "/cgi-bin/name"
  std::string_view script_filename;  // the program's file
  std::string_view path_info;        // decoded, what follows the name: "" or "/..."
  // The directory that PATH_TRANSLATED puts in front of PATH_INFO; empty: it is not set.
  std::string_view document_root;

  // Empty where the server has not authenticated the client.
  std::string_view auth_type;
  std::string_view remote_user;

  std::optional<Address> peer;   // REMOTE_ADDR; "unix:" for the client of a Unix socket
  std::optional<Address> local;  // SERVER_PORT, and SERVER_NAME where the request names no host
};

// "NAME=value" each: the variables above, those of `base` behind them, and HTTP_NAME for each
// request field. Left out of the latter: Content-Length and Content-Type, which have variables of
// their own; Authorization and Proxy-Authorization (section 4.1.18); Transfer-Encoding, which was
// removed; Proxy, because HTTP_PROXY is a setting of many programs ("httpoxy"); and names with
// anything but letters, digits and '-', because X_Y would pass for X-Y. Fields of one name are
// joined with ", " (cookies with "; ").
std::vector<std::string> MakeEnvironment(const Request& request,
                                         std::span<const std::string> base = {});

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_REQUEST_H_
