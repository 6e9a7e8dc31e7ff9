#include "net/http/syntax.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

TEST(SyntaxTest, TokenCharsAreThoseOfTheRfc) {
  // RFC 9110 section 5.6.2, spelled out once more.
  const std::string_view marks = "!#$%&'*+-.^_`|~";
  for (int c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    const bool mark = c != 0 && c < 128 && marks.find(static_cast<char>(c)) != marks.npos;
    EXPECT_EQ(IsCharOf(static_cast<char>(c), kTokenChar), letter || digit || mark) << c;
    EXPECT_EQ(IsCharOf(static_cast<char>(c), kDigitChar), digit) << c;
    EXPECT_EQ(IsCharOf(static_cast<char>(c), kHexChar),
              digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        << c;
    EXPECT_EQ(IsCharOf(static_cast<char>(c), kValueChar), c == '\t' || (c >= 0x20 && c != 0x7f))
        << c;
  }
}

TEST(SyntaxTest, TargetCharsAreThoseOfAUri) {
  for (const char c : std::string_view(" \"#<>\\^`{|}\x7f\x80\xff\r\n\t")) {
    EXPECT_FALSE(IsCharOf(c, kTargetChar)) << c;
  }
  EXPECT_FALSE(IsCharOf('\0', kTargetChar));
  EXPECT_TRUE(AllCharsOf("/aZ09-._~%41!$&'()*+,;=:@?[]", kTargetChar));
}

TEST(SyntaxTest, Tokens) {
  EXPECT_TRUE(IsToken("Content-Type"));
  EXPECT_FALSE(IsToken(""));
  EXPECT_FALSE(IsToken("a b"));
  EXPECT_FALSE(IsToken("a:"));
}

TEST(SyntaxTest, FieldValues) {
  EXPECT_TRUE(IsFieldValue(""));
  EXPECT_TRUE(IsFieldValue("a\tb \xc3\xa4"));
  EXPECT_FALSE(IsFieldValue("a\r\nb"));
  EXPECT_FALSE(IsFieldValue("a\nb"));
  EXPECT_FALSE(IsFieldValue(std::string_view("a\0b", 3)));
}

TEST(SyntaxTest, EqualsIgnoreCase) {
  EXPECT_TRUE(EqualsIgnoreCase("Host", "hOST"));
  EXPECT_FALSE(EqualsIgnoreCase("Host", "Hos"));
  // '[' and '{' differ by the bit of the case, and are no letters.
  EXPECT_FALSE(EqualsIgnoreCase("[", "{"));
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));
}

TEST(SyntaxTest, TrimWhitespace) {
  EXPECT_EQ(TrimWhitespace(" \t a b\t "), "a b");
  EXPECT_EQ(TrimWhitespace(" \t"), "");
  EXPECT_EQ(TrimWhitespace("\ra"), "\ra");
}

TEST(SyntaxTest, ListElements) {
  std::vector<std::string> elements;
  ForEachListElement(" a ,,b\t, c d ,", [&](std::string_view e) { elements.emplace_back(e); });
  EXPECT_EQ(elements, (std::vector<std::string>{"a", "b", "c d"}));
  elements.clear();
  ForEachListElement("", [&](std::string_view e) { elements.emplace_back(e); });
  EXPECT_TRUE(elements.empty());
}

}  // namespace
}  // namespace quintet::http
