#include "net/files/path.h"

#include <algorithm>
#include <cstdint>

namespace quintet::files {
namespace {

struct Character {
  char32_t code = 0;
  size_t bytes = 0;  // 0: no UTF-8
};

uint8_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

// The first character of `bytes`, which are not empty. By RFC 3629 section 3 the shortest form, no
// surrogates, nothing above U+10FFFF.
Character FirstCharacter(std::string_view bytes) {
  const uint8_t first = ByteAt(bytes, 0);
  if (first < 0x80) return {first, 1};
  size_t size = 0;
  char32_t code = 0;
  char32_t least = 0;  // below it there is a shorter form
  if (first >= 0xc0 && first < 0xe0) {
    size = 2;
    code = first & 0x1f;
    least = 0x80;
  } else if (first >= 0xe0 && first < 0xf0) {
    size = 3;
    code = first & 0x0f;
    least = 0x800;
  } else if (first >= 0xf0 && first < 0xf8) {
    size = 4;
    code = first & 0x07;
    least = 0x10000;
  } else {
    return {};
  }
  if (bytes.size() < size) return {};
  for (size_t i = 1; i < size; ++i) {
    const uint8_t byte = ByteAt(bytes, i);
    if ((byte & 0xc0) != 0x80) return {};
    code = (code << 6) | (byte & 0x3f);
  }
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < least || surrogate || code > 0x10ffff) return {};
  return {code, size};
}

bool IsSafe(char32_t code) {
  const auto within = [code](char32_t low, char32_t high) { return code >= low && code <= high; };
  return !within(0, 0x1f) && !within(0x7f, 0x9f) && !within(0x2028, 0x202e) &&
         !within(0x2066, 0x2069);
}

}  // namespace

bool CheckPath(std::string_view path) {
  if (path.size() > kMaxPathBytes || path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const size_t end = std::min(path.find('/'), path.size());
    if (end == 0 || end > kMaxComponentBytes || path.front() == '.') return false;
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

std::string SafeText(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Character character = FirstCharacter(bytes);
    // What is no character is passed byte by byte: the next may begin one.
    const size_t size = std::max<size_t>(character.bytes, 1);
    if (character.bytes > 0 && IsSafe(character.code)) {
      text.append(bytes.substr(0, size));
    } else {
      for (size_t i = 0; i < size; ++i) {
        const uint8_t byte = ByteAt(bytes, i);
        text.append({'\\', 'x', kDigits[byte >> 4], kDigits[byte & 0xf]});
      }
    }
    bytes.remove_prefix(size);
  }
  return text;
}

}  // namespace quintet::files
