#include "net/http/chunk_scanner.h"

#include <string>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

using Result = ChunkScanner::Result;

constexpr size_t kLineBytes = 64;

// The digits that the parser would see, or "refused", or "more".
std::string ScanInPieces(std::string_view line, size_t cut) {
  ChunkScanner scanner;
  scanner.Start(kLineBytes);
  std::string all;
  for (std::string_view piece : {line.substr(0, cut), line.substr(cut)}) {
    size_t used = 0;
    std::string_view digits;
    const Result result = scanner.ScanLine(piece, used, digits);
    if (result == Result::kRefused) return "refused";
    all.append(digits);
    if (result == Result::kComplete) {
      EXPECT_EQ(piece.substr(used), piece.substr(std::min(piece.find('\n') + 1, piece.size())));
      return all;
    }
    EXPECT_EQ(used, piece.size());
  }
  return "more";
}

std::string Scan(std::string_view line) {
  const std::string whole = ScanInPieces(line, line.size());
  for (size_t cut = 0; cut < line.size(); ++cut) EXPECT_EQ(ScanInPieces(line, cut), whole) << cut;
  return whole;
}

TEST(ChunkScannerTest, Sizes) {
  EXPECT_EQ(Scan("0\r\n"), "0");
  EXPECT_EQ(Scan("1aF\r\n"), "1aF");
  EXPECT_EQ(Scan("ffffffffffffffff\r\n"), "ffffffffffffffff");
  EXPECT_EQ(Scan("00000000000000000000001\r\n"), "00000000000000000000001");
  EXPECT_EQ(Scan("12"), "more");
  EXPECT_EQ(Scan("12\r"), "more");
  EXPECT_EQ(Scan("10000000000000000\r\n"), "refused");
  for (const std::string_view bad : {"\r\n", "g\r\n", "1g\r\n", "0x1\r\n", "-1\r\n", " 1\r\n",
                                     "1\n", "1\r1", "1 \r\n", "1 1\r\n", ";\r\n"}) {
    EXPECT_EQ(Scan(bad), "refused") << bad;
  }
}

TEST(ChunkScannerTest, Extensions) {
  for (const std::string_view good :
       {"1;a\r\n", "1;a=b\r\n", "1;a=\"b\"\r\n", "1;a=\"\"\r\n", "1 ; a = b\r\n",
        "1;a;b=c;d=\"e\"\r\n", "1\t;a\r\n", "1;a=\"\\\"\\\\ ;\"\r\n", "1;a=\"b\" ;c\r\n"}) {
    EXPECT_EQ(Scan(good), "1") << good;
  }
  for (const std::string_view bad :
       {"1;\r\n", "1;;a\r\n", "1;a=\r\n", "1;=b\r\n", "1;a b\r\n", "1;a=b c\r\n", "1;a=\"b\r\n",
        "1;a=\"b\"c\r\n", "1;a \r\n", "1;a=b \r\n", "1;a=\"\x01\"\r\n", "1;a=\"\\\r\n", "1a;b\n",
        "1;a(\r\n"}) {
    EXPECT_EQ(Scan(bad), "refused") << bad;
  }
}

TEST(ChunkScannerTest, LineLength) {
  EXPECT_EQ(Scan("1;" + std::string(kLineBytes - 2, 'a') + "\r\n"), "1");
  EXPECT_EQ(Scan("1;" + std::string(kLineBytes - 1, 'a') + "\r\n"), "refused");
}

TEST(ChunkScannerTest, DataEndThenTheNextLine) {
  ChunkScanner scanner;
  scanner.Start(kLineBytes);
  size_t used = 0;
  std::string_view digits;
  ASSERT_EQ(scanner.ScanLine("3\r\nabc", used, digits), Result::kComplete);
  EXPECT_EQ(used, 3U);
  EXPECT_EQ(scanner.ScanDataEnd("\r", used), Result::kMore);
  EXPECT_EQ(scanner.ScanDataEnd("\n0", used), Result::kComplete);
  EXPECT_EQ(used, 1U);
  EXPECT_EQ(scanner.ScanLine("0\r\n", used, digits), Result::kComplete);
  EXPECT_EQ(digits, "0");
}

TEST(ChunkScannerTest, DataEndIsNothingButCrLf) {
  for (const std::string_view bad : {"\n", "x", "\rx", "\r\r"}) {
    ChunkScanner scanner;
    scanner.Start(kLineBytes);
    size_t used = 0;
    std::string_view digits;
    ASSERT_EQ(scanner.ScanLine("1\r\n", used, digits), Result::kComplete);
    EXPECT_EQ(scanner.ScanDataEnd(bad, used), Result::kRefused) << bad;
  }
}

}  // namespace
}  // namespace quintet::http
