#include "net/cgi/reply_parser.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "net/http/syntax.h"

namespace quintet::cgi {
namespace {

// RFC 9110 section 15: the final ones. Interim ones are the server's own business.
constexpr int kMinStatus = 200;
constexpr int kMaxStatus = 599;
constexpr int kFound = 302;

// A scheme and a colon (RFC 3986 section 3.1): an absolute URI.
bool IsAbsoluteUri(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const auto is_alpha = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  if (!is_alpha(text.front())) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [&](char c) {
    return is_alpha(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

}  // namespace

ReplyParser::Result ReplyParser::Fail(std::string_view error) {
  error_ = std::string(error);
  return Result::kInvalid;
}

ReplyParser::Result ReplyParser::Feed(std::string_view& bytes) {
  if (!error_.empty()) return Result::kInvalid;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
    if (taken > kMaxHeaderBytes - bytes_) return Fail("a header of more than 32 KiB");
    bytes_ += taken;
    line_.append(bytes.substr(0, end));
    bytes.remove_prefix(taken);
    if (end == std::string_view::npos) return Result::kMore;
    if (line_.ends_with('\r')) line_.pop_back();
    if (line_.empty()) return Finish();
    if (const Result result = TakeLine(line_); result != Result::kMore) return result;
    line_.clear();
  }
  return Result::kMore;
}

ReplyParser::Result ReplyParser::TakeLine(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Fail("a header line without a colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = http::TrimWhitespace(line.substr(colon + 1));
  if (!http::IsToken(name)) return Fail("a field name that is none");
  if (!http::IsFieldValue(value)) return Fail("a field value with a control character");
  if (value.empty()) return Result::kMore;
  if (http::EqualsIgnoreCase(name, "Status")) return TakeStatus(value);
  if (http::EqualsIgnoreCase(name, "Content-Length")) return TakeLength(value);
  if (http::EqualsIgnoreCase(name, "Location")) {
    if (!location_.empty()) return Fail("two Location fields");
    location_ = std::string(value);
    return Result::kMore;
  }
  if (http::EqualsIgnoreCase(name, "Content-Type")) {
    if (has_type_) return Fail("two Content-Type fields");
    has_type_ = true;
  }
  if (header_.fields.size() == kMaxFields) return Fail("more than 100 fields");
  header_.fields.emplace_back(name, value);
  return Result::kMore;
}

// "404 Not Found"; the phrase may be missing.
ReplyParser::Result ReplyParser::TakeStatus(std::string_view value) {
  if (has_status_) return Fail("two Status fields");
  has_status_ = true;
  const char* const end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, header_.status);
  const bool three_digits = at - value.data() == 3 && (at == end || http::IsWhitespace(*at));
  if (error != std::errc() || !three_digits || header_.status < kMinStatus ||
      header_.status > kMaxStatus) {
    return Fail("a Status that is not from 200 to 599");
  }
  return Result::kMore;
}

ReplyParser::Result ReplyParser::TakeLength(std::string_view value) {
  if (header_.content_length.has_value()) return Fail("two Content-Length fields");
  uint64_t length = 0;
  const char* const end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, length);
  if (error != std::errc() || at != end) return Fail("a Content-Length that is no number");
  header_.content_length = length;
  return Result::kMore;
}

ReplyParser::Result ReplyParser::Finish() {
  if (location_.empty()) {
    if (!has_type_ && !has_status_) return Fail("no Content-Type, Location or Status field");
    return Result::kDone;
  }
  // Sections 6.2.2 to 6.2.4.
  const bool local = location_.starts_with('/') && !location_.starts_with("//");
  if (local && !has_type_ && !has_status_) {
    header_.local_location = std::move(location_);
    header_.fields.clear();
    return Result::kDone;
  }
  if (!local && !location_.starts_with("//") && !IsAbsoluteUri(location_)) {
    return Fail("a Location that is neither a path nor an absolute URI");
  }
  if (!has_status_) header_.status = kFound;
  header_.fields.emplace_back("Location", std::move(location_));
  return Result::kDone;
}

}  // namespace quintet::cgi
