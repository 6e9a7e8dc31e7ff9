#include "net/http/request.h"

#include "net/http/syntax.h"

namespace quintet::http {

std::optional<std::string_view> Request::Find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (EqualsIgnoreCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::optional<uint64_t> Request::content_length() const {
  if (framing_.body != BodyKind::kLength) return std::nullopt;
  return framing_.length;
}

}  // namespace quintet::http
