// cgi::ReplyParser: the same header, the same reason and the same beginning of the body, however a
// program's output is cut; and a header that was understood, written down again, is understood as
// the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "net/cgi/reply_parser.h"
#include "tests/fuzz/cuts.h"

namespace quintet::testing {
namespace {

using cgi::ReplyHeader;
using cgi::ReplyParser;
using Result = ReplyParser::Result;

struct Parsed {
  Result result = Result::kMore;
  ReplyHeader header;
  std::string error;
  std::string body;
};

Parsed Parse(const Pieces& pieces) {
  ReplyParser parser;
  Parsed parsed;
  for (std::string_view piece : pieces) {
    if (parsed.result == Result::kMore) {
      parsed.result = parser.Feed(piece);
      EXPECT_TRUE(parsed.result != Result::kMore || piece.empty()) << "input is left";
    }
    if (parsed.result == Result::kDone) parsed.body.append(piece);
  }
  if (parsed.result == Result::kDone) parsed.header = parser.header();
  parsed.error = parser.error();
  EXPECT_EQ(parsed.result == Result::kInvalid, !parsed.error.empty());
  return parsed;
}

void ExpectSameHeader(const ReplyHeader& header, const ReplyHeader& other, const std::string& how) {
  EXPECT_EQ(header.status, other.status) << how;
  EXPECT_EQ(header.local_location, other.local_location) << how;
  EXPECT_EQ(header.fields, other.fields) << how;
  EXPECT_EQ(header.content_length, other.content_length) << how;
}

std::string Write(const ReplyHeader& header) {
  std::string text;
  if (!header.local_location.empty()) {
    text += "Location: " + header.local_location + "\n";
    if (header.status != 200) ADD_FAILURE() << "a local redirect of status " << header.status;
  } else {
    text += "Status: " + std::to_string(header.status) + "\n";
  }
  if (header.content_length.has_value()) {
    text += "Content-Length: " + std::to_string(*header.content_length) + "\n";
  }
  for (const auto& [name, value] : header.fields) text += name + ": " + value + "\n";
  return text + "\n";
}

// RFC 3875 section 6.3.3: without a Status field it is 200, and 302 for a client redirect.
void ExpectDefaultStatus(std::string_view bytes, const ReplyHeader& header) {
  std::string lower(bytes);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  if (lower.find("status") != std::string::npos) return;
  const bool redirects = std::any_of(header.fields.begin(), header.fields.end(),
                                     [](const auto& field) { return field.first == "Location"; });
  EXPECT_EQ(header.status, redirects ? 302 : 200);
}

// What goes to the client as it is must not end its line, nor the head.
void ExpectSafe(const ReplyHeader& header) {
  EXPECT_GE(header.status, 200);
  EXPECT_LE(header.status, 599);
  const auto has_control = [](std::string_view text) {
    for (const char c : text) {
      if ((static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7f) return true;
    }
    return false;
  };
  EXPECT_FALSE(has_control(header.local_location)) << header.local_location;
  for (const auto& [name, value] : header.fields) {
    EXPECT_FALSE(name.empty() || has_control(name)) << name;
    EXPECT_EQ(name.find_first_of(" \t:"), std::string::npos) << name;
    EXPECT_FALSE(has_control(value)) << value;
  }
}

}  // namespace
}  // namespace quintet::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quintet::testing;
  const std::string_view bytes = InputText(data, size);
  const Parsed whole = Parse({bytes});
  for (const Pieces& pieces : Cuts(bytes)) {
    const std::string how = "cut as " + Sizes(pieces);
    const Parsed cut = Parse(pieces);
    EXPECT_EQ(cut.result, whole.result) << how;
    EXPECT_EQ(cut.error, whole.error) << how;
    EXPECT_EQ(cut.body, whole.body) << how;
    ExpectSameHeader(cut.header, whole.header, how);
  }
  if (whole.result != Result::kDone) return 0;
  ExpectSafe(whole.header);
  ExpectDefaultStatus(bytes, whole.header);
  EXPECT_TRUE(bytes.ends_with(whole.body));
  const std::string written = Write(whole.header);
  // Written out with its status it may have become too long.
  if (written.size() > quintet::cgi::ReplyParser::kMaxHeaderBytes) return 0;
  const Parsed again = Parse({written});
  EXPECT_EQ(again.result, Result::kDone) << again.error << "\n" << written;
  ExpectSameHeader(again.header, whole.header, written);
  return 0;
}
