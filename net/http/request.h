// A request as handlers see it.
#ifndef QUINTET_NET_HTTP_REQUEST_H_
#define QUINTET_NET_HTTP_REQUEST_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "net/http/field.h"
#include "net/http/framing.h"

namespace quintet::http {

// On the connection's thread only. Every view stays valid until the response is complete or the
// connection is gone, also for a reply that comes later.
class Request {
 public:
  // Case-sensitive (RFC 9110 section 9.1), one that the parser knows.
  std::string_view method() const { return method_; }
  // As received, undecoded, whatever its form.
  std::string_view target() const { return target_; }
  // Its path, undecoded: begins with '/', or is "*" (OPTIONS for the server as a whole).
  std::string_view path() const { return path_; }
  // What follows the question mark, undecoded; empty without one.
  std::string_view query() const { return query_; }
  // What the `*` of the route's pattern stood for; empty for an exact pattern.
  std::string_view path_rest() const { return path_rest_; }
  // Host and perhaps port: of the target in absolute form, else of the Host field (RFC 9112 section
  // 3.2.2). Empty only in HTTP/1.0.
  std::string_view host() const { return host_; }
  // 0 or 1: a higher minor version is served as 1 (RFC 9110 section 2.5).
  int minor_version() const { return minor_version_; }

  // All fields in the order of arrival.
  std::span<const Field> fields() const { return fields_; }
  // The value of the first field of that name, compared without case.
  std::optional<std::string_view> Find(std::string_view name) const;

  // The client lets the connection live on (RFC 9112 section 9.3).
  bool keep_alive() const { return framing_.keep_alive; }
  // A body was announced, perhaps an empty one.
  bool has_body() const { return framing_.body != BodyKind::kNone; }
  // The announced length in bytes; none for a chunked body or no body.
  std::optional<uint64_t> content_length() const;
  // The whole body, without its transfer coding. Empty for routes that stream it.
  std::string_view body() const { return body_; }

 private:
  friend class RequestReader;
  friend class ServerSession;
  friend class RequestTestPeer;

  std::string_view method_;
  std::string_view target_;
  std::string_view path_;
  std::string_view query_;
  std::string_view path_rest_;
  std::string_view host_;
  std::string_view body_;
  int minor_version_ = 1;
  Framing framing_;
  std::vector<Field> fields_;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_REQUEST_H_
