#include "net/files/path.h"

#include <gtest/gtest.h>

#include <string>

namespace quintet::files {
namespace {

using namespace std::string_literals;

TEST(CheckPathTest, TakesComponentsBetweenSingleSlashes) {
  const std::string longest_component(255, 'c');
  for (const std::string& path : {
           "a"s,
           "a/b"s,
           "a/b/c.txt"s,
           "a./b.c"s,  // dots behind something are letters like others
           "a.."s,
           " "s,
           "~"s,
           "a b/\\c"s,
           "line\nfeed"s,
           "\xff\x80/\x01"s,  // bytes, not text
           longest_component,
           "a/" + longest_component + "/" + longest_component,
       }) {
    EXPECT_TRUE(CheckPath(path)) << SafeText(path);
  }
}

TEST(CheckPathTest, RefusesWhatLeavesHidesOrIsWrittenTwoWays) {
  const std::string too_long_component(256, 'c');
  for (const std::string& path : {
           ""s,
           "/"s,
           "/a"s,
           "//"s,
           "a/"s,
           "a//b"s,
           "a/b/"s,
           "."s,
           ".."s,
           "./a"s,
           "../a"s,
           "a/."s,
           "a/.."s,
           "a/./b"s,
           "a/../b"s,
           "a/../../b"s,
           "..."s,
           ".hidden"s,
           "a/.hidden"s,
           "a/.hidden/b"s,
           ".hidden/b"s,
           "\0"s,
           "a\0"s,
           "\0a"s,
           "a/b\0/c"s,
           too_long_component,
           "a/" + too_long_component,
           too_long_component + "/a",
       }) {
    EXPECT_FALSE(CheckPath(path)) << SafeText(path);
  }
}

TEST(CheckPathTest, TakesPathsUpToTheLimit) {
  std::string path;
  while (path.size() < 4095) path += "ab/";
  path.resize(4095);
  ASSERT_EQ(path.back(), '/');
  path.back() = 'c';
  EXPECT_TRUE(CheckPath(path));
  EXPECT_FALSE(CheckPath(path + 'c'));
}

struct Shown {
  std::string bytes;
  std::string text;
};

TEST(SafeTextTest, LeavesUtf8) {
  for (const std::string& text : {""s, "plain name.txt"s, "~\\x"s, "\u00e9\u00df\u4e2d\U0001f600"s,
                                  // The first and last of each length, and beside the surrogates.
                                  "\u00a0\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"s,
                                  // Beside what turns directions and separates lines.
                                  "\u2027\u202f\u2065\u206a"s}) {
    EXPECT_EQ(SafeText(text), text);
  }
}

TEST(SafeTextTest, ShowsWhatIsUnsafeAsNumbers) {
  const Shown cases[] = {
      {"\0"s, "\\x00"},
      {"a\nb\tc\r"s, "a\\x0ab\\x09c\\x0d"},
      {"\x1b[2J\x1f"s, "\\x1b[2J\\x1f"},
      {"\x7f"s, "\\x7f"},
      {"\u0080\u009b\u009f"s, "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f"},
      {"\u2028\u2029"s, "\\xe2\\x80\\xa8\\xe2\\x80\\xa9"},
      {"\u202a\u202e"s, "\\xe2\\x80\\xaa\\xe2\\x80\\xae"},
      {"\u2066\u2069"s, "\\xe2\\x81\\xa6\\xe2\\x81\\xa9"},
  };
  for (const Shown& shown : cases) EXPECT_EQ(SafeText(shown.bytes), shown.text);
}

TEST(SafeTextTest, ShowsWhatIsNoUtf8AsNumbers) {
  const Shown cases[] = {
      {"\xe9t\xe9"s, "\\xe9t\\xe9"},  // Latin-1
      {"\x80"s, "\\x80"},             // goes on without a beginning
      {"\xc3"s, "\\xc3"},             // ends in the middle
      {"\xe4\xb8"s, "\\xe4\\xb8"},
      {"\xf0\x9f\x98"s, "\\xf0\\x9f\\x98"},
      {"\xc3z"s, "\\xc3z"},  // broken off, and what follows stays
      {"\xe4\u00e9"s, "\\xe4\u00e9"},
      {"\xf0\x9f\u00e9"s, "\\xf0\\x9f\u00e9"},
      {"\xc0\xaf"s, "\\xc0\\xaf"},  // longer than necessary
      {"\xc1\xbf"s, "\\xc1\\xbf"},
      {"\xe0\x9f\xbf"s, "\\xe0\\x9f\\xbf"},
      {"\xf0\x8f\xbf\xbf"s, "\\xf0\\x8f\\xbf\\xbf"},
      {"\xed\xa0\x80"s, "\\xed\\xa0\\x80"},  // surrogates
      {"\xed\xbf\xbf"s, "\\xed\\xbf\\xbf"},
      {"\xf4\x90\x80\x80"s, "\\xf4\\x90\\x80\\x80"},  // above U+10FFFF
      {"\xf8\x88\x80\x80\x80"s, "\\xf8\\x88\\x80\\x80\\x80"},
      {"\xf9\x80\x80\x80"s, "\\xf9\\x80\\x80\\x80"},
      {"\xfe\xff"s, "\\xfe\\xff"},
  };
  for (const Shown& shown : cases) EXPECT_EQ(SafeText(shown.bytes), shown.text);
}

}  // namespace
}  // namespace quintet::files
