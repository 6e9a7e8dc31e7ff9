#include "net/http/chunk_scanner.h"

#include "net/http/syntax.h"

namespace quintet::http {
namespace {

constexpr int kMaxSignificantDigits = 16;  // 64 bits

}  // namespace

void ChunkScanner::Start(size_t line_bytes) {
  *this = ChunkScanner();
  line_bytes_limit_ = line_bytes;
}

ChunkScanner::Result ChunkScanner::ScanLine(std::string_view data, size_t& used,
                                            std::string_view& digits) {
  size_t first_digit = 0;
  size_t digit_count = 0;
  for (used = 0; used < data.size();) {
    const char c = data[used];
    if (c != '\r' && c != '\n' && ++line_bytes_ > line_bytes_limit_) return Result::kRefused;
    if (!Advance(c)) return Result::kRefused;
    if (state_ == State::kSize) {
      if (digit_count++ == 0) first_digit = used;
    }
    ++used;
    if (state_ == State::kDataCr) {
      line_bytes_ = 0;
      significant_digits_ = 0;
      digits = data.substr(first_digit, digit_count);
      return Result::kComplete;
    }
  }
  digits = data.substr(first_digit, digit_count);
  return Result::kMore;
}

ChunkScanner::Result ChunkScanner::ScanDataEnd(std::string_view data, size_t& used) {
  for (used = 0; used < data.size();) {
    const char expected = state_ == State::kDataCr ? '\r' : '\n';
    if (data[used] != expected) return Result::kRefused;
    ++used;
    if (state_ == State::kDataLf) {
      state_ = State::kSizeStart;
      return Result::kComplete;
    }
    state_ = State::kDataLf;
  }
  return Result::kMore;
}

bool ChunkScanner::AdvanceAfterExtension(char c, State whitespace) {
  if (c == ';') {
    state_ = State::kNameStart;
  } else if (IsWhitespace(c)) {
    state_ = whitespace;
  } else if (c == '\r') {
    state_ = State::kLineLf;
  } else {
    return false;
  }
  return true;
}

bool ChunkScanner::Advance(char c) {
  switch (state_) {
    case State::kSizeStart:
    case State::kSize:
      if (IsCharOf(c, kHexChar)) {
        state_ = State::kSize;
        if (c != '0' || significant_digits_ != 0) ++significant_digits_;
        return significant_digits_ <= kMaxSignificantDigits;
      }
      return state_ == State::kSize && AdvanceAfterExtension(c, State::kBeforeSemicolon);
    case State::kBeforeSemicolon:
      // White space is bad but legal before a semicolon, and nowhere else.
      return c != '\r' && AdvanceAfterExtension(c, State::kBeforeSemicolon);
    case State::kNameStart:
      if (IsWhitespace(c)) return true;
      state_ = State::kName;
      return IsCharOf(c, kTokenChar);
    case State::kName:
      if (IsCharOf(c, kTokenChar)) return true;
      if (c == '=') {
        state_ = State::kValueStart;
        return true;
      }
      return AdvanceAfterExtension(c, State::kAfterName);
    case State::kAfterName:
      if (c == '=') {
        state_ = State::kValueStart;
        return true;
      }
      return c != '\r' && AdvanceAfterExtension(c, State::kAfterName);
    case State::kValueStart:
      if (IsWhitespace(c)) return true;
      state_ = c == '"' ? State::kQuoted : State::kValue;
      return c == '"' || IsCharOf(c, kTokenChar);
    case State::kValue:
      return IsCharOf(c, kTokenChar) || AdvanceAfterExtension(c, State::kBeforeSemicolon);
    case State::kQuoted:
      if (c == '"') state_ = State::kAfterValue;
      if (c == '\\') state_ = State::kQuotedPair;
      return IsCharOf(c, kValueChar);
    case State::kQuotedPair:
      state_ = State::kQuoted;
      return IsCharOf(c, kValueChar);
    case State::kAfterValue:
      return AdvanceAfterExtension(c, State::kBeforeSemicolon);
    case State::kLineLf:
      state_ = State::kDataCr;
      return c == '\n';
    case State::kDataCr:
    case State::kDataLf:
      break;
  }
  return false;
}

}  // namespace quintet::http
