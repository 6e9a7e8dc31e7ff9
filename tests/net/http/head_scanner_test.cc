#include "net/http/head_scanner.h"

#include <string>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

using Result = HeadScanner::Result;

constexpr std::string_view kHead = "GET /a HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";

TEST(HeadScannerTest, FindsTheEndAndReadsNoFurther) {
  HeadScanner scanner;
  scanner.Start(Limits());
  EXPECT_FALSE(scanner.started());
  size_t used = 0;
  EXPECT_EQ(scanner.Scan(std::string(kHead) + "GET", used), Result::kComplete);
  EXPECT_EQ(used, kHead.size());
  EXPECT_TRUE(scanner.started());
  EXPECT_EQ(scanner.field_count(), 2U);
  EXPECT_EQ(scanner.minor_version(), 1);
  EXPECT_EQ(scanner.minor_version_offset(), kHead.find("1\r\n"));
}

TEST(HeadScannerTest, OffsetCountsEmptyLinesAndEarlierPieces) {
  const std::string input = "\r\n" + std::string(kHead);
  for (size_t at = 0; at <= input.size(); ++at) {
    HeadScanner scanner;
    scanner.Start(Limits());
    size_t used = 0;
    scanner.Scan(std::string_view(input).substr(0, at), used);
    ASSERT_EQ(used, at);
    scanner.Scan(std::string_view(input).substr(at), used);
    EXPECT_EQ(scanner.minor_version_offset(), input.find("1\r\n"));
  }
}

TEST(HeadScannerTest, EmptyLinesAreNoStart) {
  HeadScanner scanner;
  scanner.Start(Limits());
  size_t used = 0;
  EXPECT_EQ(scanner.Scan("\r\n\r", used), Result::kMore);
  EXPECT_FALSE(scanner.started());
  EXPECT_EQ(scanner.Scan("\nG", used), Result::kMore);
  EXPECT_TRUE(scanner.started());
}

TEST(HeadScannerTest, RefusesAtTheFirstBadOctet) {
  HeadScanner scanner;
  scanner.Start(Limits());
  size_t used = 0;
  EXPECT_EQ(scanner.Scan("\x16\x03\x01", used), Result::kRefused);
  EXPECT_EQ(scanner.status(), 400);
  EXPECT_EQ(used, 0U);
}

// The longest request line that fits, and one octet more; the same for fields.
TEST(HeadScannerTest, LimitsAreExact) {
  Limits limits;
  limits.request_line_bytes = 20;  // "GET /" and " HTTP/1.1" take 14, less the two spaces
  limits.header_bytes = 12;        // name, colon, value and CRLF
  for (size_t extra = 0; extra < 12; ++extra) {
    HeadScanner scanner;
    scanner.Start(limits);
    size_t used = 0;
    const std::string line = "GET /" + std::string(extra, 'a') + " HTTP/1.1\r\n";
    const Result result = scanner.Scan(line, used);
    if (line.size() - 2 - 2 <= limits.request_line_bytes) {
      EXPECT_EQ(result, Result::kMore) << extra;
    } else {
      EXPECT_EQ(result, Result::kRefused) << extra;
      EXPECT_EQ(scanner.status(), 414);
    }
  }
  for (size_t extra = 0; extra < 16; ++extra) {
    HeadScanner scanner;
    scanner.Start(limits);
    size_t used = 0;
    scanner.Scan("GET / HTTP/1.1\r\n", used);
    const std::string field = "X:" + std::string(extra, 'a');
    const Result result = scanner.Scan(field + "\r\n\r\n", used);
    if (field.size() <= limits.header_bytes) {
      EXPECT_EQ(result, Result::kComplete) << extra;
    } else {
      EXPECT_EQ(result, Result::kRefused) << extra;
      EXPECT_EQ(scanner.status(), 431);
    }
  }
}

TEST(HeadScannerTest, TrailersShareTheBudget) {
  Limits limits;
  limits.header_count = 2;
  HeadScanner scanner;
  scanner.Start(limits);
  size_t used = 0;
  ASSERT_EQ(scanner.Scan("GET / HTTP/1.1\r\nHost: a\r\n\r\n", used), Result::kComplete);
  scanner.StartTrailers();
  EXPECT_EQ(scanner.Scan("A: b\r\n", used), Result::kMore);
  EXPECT_EQ(scanner.Scan("C: d\r\n\r\n", used), Result::kRefused);
  EXPECT_EQ(scanner.status(), 431);
}

TEST(HeadScannerTest, EmptyTrailers) {
  HeadScanner scanner;
  scanner.Start(Limits());
  size_t used = 0;
  ASSERT_EQ(scanner.Scan(kHead, used), Result::kComplete);
  scanner.StartTrailers();
  EXPECT_EQ(scanner.Scan("\r\nrest", used), Result::kComplete);
  EXPECT_EQ(used, 2U);
}

}  // namespace
}  // namespace quintet::http
