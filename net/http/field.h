// A header field as received.
#ifndef QUINTET_NET_HTTP_FIELD_H_
#define QUINTET_NET_HTTP_FIELD_H_

#include <string_view>

namespace quintet::http {

struct Field {
  std::string_view name;   // as the peer spelled it
  std::string_view value;  // without the white space around it
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_FIELD_H_
