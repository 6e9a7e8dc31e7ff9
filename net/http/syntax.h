// Character classes and small helpers of the HTTP grammar (RFC 9110 section 5.6, RFC 3986).
#ifndef QUINTET_NET_HTTP_SYNTAX_H_
#define QUINTET_NET_HTTP_SYNTAX_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace quintet::http {

// Bits of kCharClasses.
enum CharClass : uint8_t {
  kTokenChar = 1,     // tchar, RFC 9110 section 5.6.2
  kTargetChar = 2,    // what a URI without fragment may hold, RFC 3986 section 2; '%' included
  kValueChar = 4,     // field-vchar, SP and HTAB, RFC 9110 section 5.5
  kHexChar = 8,       // HEXDIG
  kRegNameChar = 16,  // reg-name and port of an authority, RFC 3986 section 3.2; '%' included
  kDigitChar = 32,    // DIGIT
  kHostChar = 64,     // most of kRegNameChar: what a host holds that needs no further look
};

// The classes of each octet.
extern const std::array<uint8_t, 256> kCharClasses;

inline bool IsCharOf(char c, CharClass char_class) {
  return (kCharClasses[static_cast<uint8_t>(c)] & char_class) != 0;
}

// SP or HTAB, of which optional white space consists.
constexpr bool IsWhitespace(char c) { return c == ' ' || c == '\t'; }

// True when `text` holds nothing but octets of the class; also when it is empty.
inline bool AllCharsOf(std::string_view text, CharClass char_class) {
  for (const char c : text) {
    if (!IsCharOf(c, char_class)) return false;
  }
  return true;
}

// token = 1*tchar.
bool IsToken(std::string_view text);
// Safe to send as a field value: no control octet but HTAB, so that it cannot end its line.
bool IsFieldValue(std::string_view text);

// ASCII only, as field names and most tokens are compared.
bool EqualsIgnoreCaseSameSize(std::string_view a, std::string_view b);
inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && EqualsIgnoreCaseSameSize(a, b);
}

// Without SP and HTAB at both ends (OWS).
std::string_view TrimWhitespace(std::string_view text);

// Calls `visit(element)` for each element of a comma-separated list (RFC 9110 section 5.6.1),
// without the white space around it; empty elements are skipped, as a recipient must. Elements with
// quoted strings are not understood: none of the lists read here may have them.
template <typename Visit>
void ForEachListElement(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view element = TrimWhitespace(list.substr(0, comma));
    if (!element.empty()) visit(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_SYNTAX_H_
