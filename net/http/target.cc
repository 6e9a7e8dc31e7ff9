#include "net/http/target.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <limits>

#include "net/http/syntax.h"

namespace quintet::http {
namespace {

Target Refuse(int status) {
  Target target;
  target.status = status;
  return target;
}

// Every '%' begins a pair of hexadecimal digits (RFC 3986 section 2.1).
bool IsPercentEncodingValid(std::string_view text) {
  for (size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 3)) {
    if (text.size() - at < 3 || !AllCharsOf(text.substr(at + 1, 2), kHexChar)) return false;
  }
  return true;
}

bool IsValidPort(std::string_view text) {
  unsigned port = 0;  // may be missing behind its colon (RFC 3986 section 3.2.3)
  for (const char c : text) {
    if (!IsCharOf(c, kDigitChar)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
    if (port > std::numeric_limits<uint16_t>::max()) return false;
  }
  return true;
}

bool IsIpv6Address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return false;
  text.copy(terminated.data(), text.size());
  in6_addr address;
  return inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

void SplitQuery(std::string_view path_and_query, Target& target) {
  const size_t mark = path_and_query.find('?');
  target.path = path_and_query.substr(0, mark);
  if (mark != std::string_view::npos) target.query = path_and_query.substr(mark + 1);
}

Target ParseAbsolute(std::string_view method, std::string_view rest) {
  Target target;
  const size_t path_at = rest.find_first_of("/?");
  target.authority = rest.substr(0, path_at);
  if (!IsValidHost(target.authority)) return Refuse(400);
  if (path_at != std::string_view::npos) SplitQuery(rest.substr(path_at), target);
  if (target.path.empty()) {
    // RFC 9112 section 3.2.4: OPTIONS without path and query means the server as a whole.
    const bool server_wide = method == "OPTIONS" && path_at == std::string_view::npos;
    target.path = server_wide ? "*" : "/";
  }
  return target;
}

}  // namespace

bool IsValidHost(std::string_view text) {
  // Almost every host, in one pass.
  size_t plain = 0;
  while (plain < text.size() && IsCharOf(text[plain], kHostChar)) ++plain;
  if (plain > 0 && plain == text.size()) return true;
  if (plain > 0 && text[plain] == ':') return IsValidPort(text.substr(plain + 1));

  if (!text.empty() && text.front() == '[') {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return false;
    if (!IsIpv6Address(text.substr(1, bracket - 1))) return false;
    const std::string_view rest = text.substr(bracket + 1);
    return rest.empty() || (rest.front() == ':' && IsValidPort(rest.substr(1)));
  }
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (name.empty() || !AllCharsOf(name, kRegNameChar)) return false;
  if (name.find(',') != std::string_view::npos || !IsPercentEncodingValid(name)) return false;
  return colon == std::string_view::npos || IsValidPort(text.substr(colon + 1));
}

Target ParseTarget(std::string_view method, std::string_view text) {
  if (!IsPercentEncodingValid(text)) return Refuse(400);
  if (method == "CONNECT") {
    // The authority form needs its port (RFC 9110 section 9.3.6).
    const size_t colon = text.rfind(':');
    if (!IsValidHost(text) || colon == std::string_view::npos || colon + 1 == text.size() ||
        text.back() == ']') {
      return Refuse(400);
    }
    Target target;
    target.authority = text;
    return target;
  }
  Target target;
  if (text.front() == '/') {
    SplitQuery(text, target);
    return target;
  }
  if (text == "*") {
    if (method != "OPTIONS") return Refuse(400);
    target.path = text;
    return target;
  }
  const size_t scheme_end = text.find("://");
  const std::string_view scheme = text.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos) return Refuse(400);
  if (EqualsIgnoreCase(scheme, "https")) return Refuse(421);
  if (!EqualsIgnoreCase(scheme, "http")) return Refuse(400);
  return ParseAbsolute(method, text.substr(scheme_end + 3));
}

}  // namespace quintet::http
