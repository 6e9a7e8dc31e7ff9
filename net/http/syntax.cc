#include "net/http/syntax.h"

#include <algorithm>

namespace quintet::http {
namespace {

constexpr std::array<uint8_t, 256> MakeCharClasses() {
  std::array<uint8_t, 256> classes{};
  const auto add = [&classes](std::string_view chars, int bits) {
    for (const char c : chars) {
      classes[static_cast<uint8_t>(c)] =
          static_cast<uint8_t>(classes[static_cast<uint8_t>(c)] | bits);
    }
  };
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  add(kDigits, kTokenChar | kTargetChar | kRegNameChar | kHostChar | kHexChar | kDigitChar);
  add(kLetters, kTokenChar | kTargetChar | kRegNameChar | kHostChar);
  add("abcdefABCDEF", kHexChar);
  add("!#$%&'*+-.^_`|~", kTokenChar);
  add("-._~!$&'()*+,;=%", kTargetChar | kRegNameChar);
  add(":/?@[]", kTargetChar);
  add("-._~", kHostChar);
  for (int c = 0x20; c < 256; ++c) {
    if (c != 0x7f) classes[c] = static_cast<uint8_t>(classes[c] | kValueChar);
  }
  classes['\t'] = static_cast<uint8_t>(classes['\t'] | kValueChar);
  return classes;
}

// The two cases of an ASCII letter differ in this bit.
constexpr int kCaseBit = 0x20;

constexpr bool IsLowerCaseLetter(int c) { return c >= 'a' && c <= 'z'; }

}  // namespace

constexpr std::array<uint8_t, 256> kCharClasses = MakeCharClasses();

bool IsToken(std::string_view text) { return !text.empty() && AllCharsOf(text, kTokenChar); }

bool IsFieldValue(std::string_view text) { return AllCharsOf(text, kValueChar); }

bool EqualsIgnoreCaseSameSize(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
    return x == y || ((x ^ y) == kCaseBit && IsLowerCaseLetter(x | kCaseBit));
  });
}

std::string_view TrimWhitespace(std::string_view text) {
  while (!text.empty() && IsWhitespace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsWhitespace(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace quintet::http
