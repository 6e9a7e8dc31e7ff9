#include "net/cgi/reply_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quintet::cgi {
namespace {

using Result = ReplyParser::Result;
using Fields = std::vector<std::pair<std::string, std::string>>;

struct Parsed {
  Result result = Result::kMore;
  ReplyHeader header;
  std::string error;
  std::string rest;
};

// `text` in two pieces.
Parsed ParseSplit(std::string_view text, size_t at) {
  ReplyParser parser;
  Parsed parsed;
  for (std::string_view piece : {text.substr(0, at), text.substr(at)}) {
    if (parsed.result == Result::kMore) parsed.result = parser.Feed(piece);
    parsed.rest.append(piece);
  }
  if (parsed.result == Result::kDone) parsed.header = parser.header();
  parsed.error = parser.error();
  return parsed;
}

// The same however it is split.
Parsed Parse(const std::string& text) {
  const Parsed whole = ParseSplit(text, 0);
  for (size_t at = 1; at <= text.size(); ++at) {
    const Parsed split = ParseSplit(text, at);
    EXPECT_EQ(split.result, whole.result) << at;
    EXPECT_EQ(split.error, whole.error) << at;
    EXPECT_EQ(split.header.status, whole.header.status) << at;
    EXPECT_EQ(split.header.fields, whole.header.fields) << at;
    EXPECT_EQ(split.header.local_location, whole.header.local_location) << at;
    EXPECT_EQ(split.header.content_length, whole.header.content_length) << at;
    if (whole.result == Result::kDone) {
      EXPECT_EQ(split.rest, whole.rest) << at;
    }
  }
  return whole;
}

std::string ErrorOf(const std::string& text) {
  const Parsed parsed = Parse(text);
  EXPECT_EQ(parsed.result, Result::kInvalid) << text;
  return parsed.error;
}

TEST(CgiReplyParserTest, Document) {
  for (const std::string end : {"\n", "\r\n"}) {
    const Parsed parsed =
        Parse("Content-Type: text/html; charset=utf-8" + end + "X-One:1 " + end +
              "Set-Cookie: a=1" + end + "Set-Cookie: \tb=2" + end + end + "body\n\nmore");
    ASSERT_EQ(parsed.result, Result::kDone) << parsed.error;
    EXPECT_EQ(parsed.header.status, 200);
    EXPECT_EQ(parsed.header.fields, (Fields{{"Content-Type", "text/html; charset=utf-8"},
                                            {"X-One", "1"},
                                            {"Set-Cookie", "a=1"},
                                            {"Set-Cookie", "b=2"}}));
    EXPECT_EQ(parsed.header.local_location, "");
    EXPECT_FALSE(parsed.header.content_length.has_value());
    EXPECT_EQ(parsed.rest, "body\n\nmore");
  }
}

TEST(CgiReplyParserTest, StatusAndLength) {
  Parsed parsed = Parse("status: 404 Not Found\nCONTENT-TYPE: text/plain\nContent-length: 17\n\n");
  ASSERT_EQ(parsed.result, Result::kDone) << parsed.error;
  EXPECT_EQ(parsed.header.status, 404);
  EXPECT_EQ(parsed.header.content_length, 17U);
  EXPECT_EQ(parsed.header.fields, (Fields{{"CONTENT-TYPE", "text/plain"}}));
  // Without a body, and without a phrase.
  parsed = Parse("Status: 204\n\n");
  ASSERT_EQ(parsed.result, Result::kDone) << parsed.error;
  EXPECT_EQ(parsed.header.status, 204);
}

TEST(CgiReplyParserTest, Redirects) {
  Parsed parsed = Parse("Location: /other/path?x=1\nX-Dropped: 1\n\n");
  ASSERT_EQ(parsed.result, Result::kDone) << parsed.error;
  EXPECT_EQ(parsed.header.local_location, "/other/path?x=1");
  EXPECT_EQ(parsed.header.fields, Fields());

  parsed = Parse("Location: https://example.org/a#b\nX-Kept: 1\n\n");
  ASSERT_EQ(parsed.result, Result::kDone) << parsed.error;
  EXPECT_EQ(parsed.header.status, 302);
  EXPECT_EQ(parsed.header.local_location, "");
  EXPECT_EQ(parsed.header.fields,
            (Fields{{"X-Kept", "1"}, {"Location", "https://example.org/a#b"}}));

  parsed = Parse("Status: 301 Moved\nLocation: http://example.org/\nContent-Type: text/html\n\n");
  ASSERT_EQ(parsed.result, Result::kDone) << parsed.error;
  EXPECT_EQ(parsed.header.status, 301);
  EXPECT_EQ(parsed.header.fields.back().first, "Location");

  // With a status of its own, and by authority, it is the client's.
  for (const char* const text :
       {"Status: 307 Temporary\nLocation: /here\n\n", "Location: //example.org/x\n\n"}) {
    parsed = Parse(text);
    ASSERT_EQ(parsed.result, Result::kDone) << parsed.error;
    EXPECT_EQ(parsed.header.local_location, "");
    EXPECT_EQ(parsed.header.fields.back().first, "Location");
  }
}

TEST(CgiReplyParserTest, WhatIsNoReply) {
  EXPECT_EQ(ErrorOf("\n"), "no Content-Type, Location or Status field");
  EXPECT_EQ(ErrorOf("X-Only: 1\n\n"), "no Content-Type, Location or Status field");
  EXPECT_EQ(ErrorOf("Content-Type:\n\n"), "no Content-Type, Location or Status field");
  EXPECT_EQ(ErrorOf("HTTP/1.1 200 OK\n\n"), "a header line without a colon");
  EXPECT_EQ(ErrorOf("Content-Type : text/plain\n\n"), "a field name that is none");
  EXPECT_EQ(ErrorOf(" folded: 1\n\n"), "a field name that is none");
  EXPECT_EQ(ErrorOf(": 1\n\n"), "a field name that is none");
  EXPECT_EQ(ErrorOf("X: a\rb\n\n"), "a field value with a control character");
  EXPECT_EQ(ErrorOf(std::string("X: a\0b\n\n", 8)), "a field value with a control character");
  EXPECT_EQ(ErrorOf("Content-Type: a\nContent-Type: b\n\n"), "two Content-Type fields");
  EXPECT_EQ(ErrorOf("Location: /a\nLocation: /b\n\n"), "two Location fields");
  EXPECT_EQ(ErrorOf("Status: 200\nStatus: 200\n\n"), "two Status fields");
  EXPECT_EQ(ErrorOf("Content-Length: 1\nContent-Length: 1\n\n"), "two Content-Length fields");
  EXPECT_EQ(ErrorOf("Location: relative\n\n"),
            "a Location that is neither a path nor an absolute URI");
  EXPECT_EQ(ErrorOf("Location: :x\n\n"), "a Location that is neither a path nor an absolute URI");
  for (const char* const status : {"100 Continue", "199", "600", "20", "2000", "-200", "abc",
                                   "200OK", "0200", "99999999999"}) {
    EXPECT_EQ(ErrorOf(std::string("Status: ") + status + "\n\n"),
              "a Status that is not from 200 to 599");
  }
  for (const char* const length : {"-1", "+1", "1 1", "x", "18446744073709551616"}) {
    EXPECT_EQ(ErrorOf(std::string("Content-Length: ") + length + "\n\n"),
              "a Content-Length that is no number");
  }
}

TEST(CgiReplyParserTest, LimitsAreExact) {
  const std::string head = "Content-Type: a\nX: ";
  const std::string tail = "\n\n";
  const std::string most(ReplyParser::kMaxHeaderBytes - head.size() - tail.size(), 'x');
  EXPECT_EQ(ParseSplit(head + most + tail, 5).result, Result::kDone);
  EXPECT_EQ(ParseSplit(head + most + "x" + tail, 5).error, "a header of more than 32 KiB");
  // One that never ends its line is refused as soon as it is too long.
  EXPECT_EQ(ParseSplit(std::string(ReplyParser::kMaxHeaderBytes + 1, 'x'), 5).error,
            "a header of more than 32 KiB");
  std::string fields = "Content-Type: a\n";
  for (size_t i = 1; i < ReplyParser::kMaxFields; ++i) fields += "X: 1\n";
  EXPECT_EQ(ParseSplit(fields + "\n", 0).result, Result::kDone);
  EXPECT_EQ(ParseSplit(fields + "X: 1\n\n", 0).error, "more than 100 fields");
}

TEST(CgiReplyParserTest, InvalidStaysInvalid) {
  ReplyParser parser;
  std::string_view bytes = "garbage\n";
  EXPECT_EQ(parser.Feed(bytes), Result::kInvalid);
  bytes = "Content-Type: a\n\n";
  EXPECT_EQ(parser.Feed(bytes), Result::kInvalid);
}

}  // namespace
}  // namespace quintet::cgi
