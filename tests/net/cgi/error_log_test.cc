#include "net/cgi/error_log.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace quintet::cgi {
namespace {

class CgiErrorLogTest : public ::testing::Test {
 protected:
  // The lines that come of `text` in pieces of `piece` bytes.
  std::vector<std::string> Lines(std::string_view text, size_t piece = 7) {
    std::vector<std::string> lines;
    {
      ErrorLog log([&](LogLevel, std::string_view line) { lines.emplace_back(line); }, "> ");
      for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
        log.Add(text.substr(0, piece));
      }
    }
    return lines;
  }
};
using Strings = std::vector<std::string>;

TEST_F(CgiErrorLogTest, LineByLine) {
  for (size_t piece = 1; piece < 20; ++piece) {
    EXPECT_EQ(Lines("one\n\nsecond line\nrest", piece),
              (Strings{"> one", "> ", "> second line", "> rest"}));
  }
  EXPECT_EQ(Lines(""), Strings());
}

TEST_F(CgiErrorLogTest, NothingIsForged) {
  EXPECT_EQ(Lines("a\r\x1b[31m\xc3\xa4\n"), (Strings{"> a\\r\\033[31m\xc3\xa4"}));
}

TEST_F(CgiErrorLogTest, LongLinesGoOnInTheNext) {
  const std::string full(ErrorLog::kMaxLineBytes, 'x');
  EXPECT_EQ(Lines(full + "\n"), (Strings{"> " + full}));
  EXPECT_EQ(Lines(full + "y\nz\n"), (Strings{"> " + full, "> y", "> z"}));
}

TEST_F(CgiErrorLogTest, WhatIsTooMuchIsCounted) {
  std::string line(99, 'x');
  line += '\n';
  std::string text;
  while (text.size() < ErrorLog::kMaxBytes) text += line;
  text.resize(ErrorLog::kMaxBytes);
  std::vector<std::string> lines = Lines(text + "0123456789");
  EXPECT_EQ(lines.back(), "> 10 bytes more, left out");
  EXPECT_EQ(lines.size(), ErrorLog::kMaxBytes / 100 + 2);
  EXPECT_NE(Lines(text).back(), "> 10 bytes more, left out");
}

TEST_F(CgiErrorLogTest, SilenceIsAllowed) {
  ErrorLog log(nullptr, "> ");
  log.Add(std::string(ErrorLog::kMaxBytes * 2, '\n'));
}

}  // namespace
}  // namespace quintet::cgi
