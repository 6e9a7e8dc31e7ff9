#include "net/http/head_scanner.h"

#include <algorithm>

#include "net/http/syntax.h"

namespace quintet::http {
namespace {

constexpr std::string_view kVersionPrefix = "HTTP/";
constexpr uint8_t kMajorAt = 5;
constexpr uint8_t kDotAt = 6;
constexpr uint8_t kMinorAt = 7;
constexpr uint8_t kVersionBytes = 8;

}  // namespace

void HeadScanner::Start(const Limits& limits) {
  *this = HeadScanner();
  budget_ = limits.request_line_bytes;
  field_bytes_limit_ = limits.header_bytes;
  field_count_limit_ = limits.header_count;
}

HeadScanner::Result HeadScanner::Scan(std::string_view data, size_t& used) {
  const char* p = data.data();
  const char* const end = p + data.size();
  piece_ = p;
  complete_ = false;
  while (p != end && !complete_ && status_ == 0) p = Step(p, end);
  used = static_cast<size_t>(p - data.data());
  scanned_ += used;
  if (status_ != 0) return Result::kRefused;
  return complete_ ? Result::kComplete : Result::kMore;
}

const char* HeadScanner::SkipRun(const char* p, const char* end, uint8_t char_class,
                                 int too_large) {
  const char* const stop = p + std::min(static_cast<size_t>(end - p), budget_);
  const char* const begin = p;
  while (p != stop && (kCharClasses[static_cast<uint8_t>(*p)] & char_class) != 0) ++p;
  budget_ -= static_cast<size_t>(p - begin);
  // Stopped by the budget while there is one more octet to skip.
  if (p == stop && p != end && (kCharClasses[static_cast<uint8_t>(*p)] & char_class) != 0) {
    status_ = static_cast<int16_t>(too_large);
  }
  return p;
}

const char* HeadScanner::Step(const char* p, const char* end) {
  switch (state_) {
    case State::kEmptyLines:
      if (*p != '\r') {
        state_ = State::kMethod;
        return p;
      }
      if (++empty_lines_ > kMaxEmptyLines) status_ = 400;
      state_ = State::kEmptyLineLf;
      return p + 1;
    case State::kEmptyLineLf:
      if (*p != '\n') status_ = 400;
      state_ = State::kEmptyLines;
      return p + 1;

    case State::kMethod:
      if (IsCharOf(*p, kTokenChar)) {
        // Both limits may be hit by the same octet; that of the method tells more.
        if (++method_bytes_ > kMaxMethodBytes) {
          status_ = 501;
        } else if (budget_-- == 0) {
          status_ = 414;
        }
        return p + 1;
      }
      if (*p != ' ' || method_bytes_ == 0) {
        status_ = 400;
        return p;
      }
      state_ = State::kTargetStart;
      return p + 1;
    case State::kTargetStart:
      // A second space is no target.
      if (!IsCharOf(*p, kTargetChar)) status_ = 400;
      state_ = State::kTarget;
      return p;
    case State::kTarget:
      p = SkipRun(p, end, kTargetChar, 414);
      if (p == end || status_ != 0) return p;
      if (*p != ' ') {
        status_ = 400;
        return p;
      }
      state_ = State::kVersion;
      return p + 1;
    case State::kVersion:
      return ScanVersion(p, end);
    case State::kLineCr:
      if (*p != '\r') status_ = 400;
      state_ = State::kLineLf;
      return p + 1;
    case State::kLineLf:
      if (*p != '\n') {
        status_ = 400;
      } else if (major_version_ != 1) {
        status_ = 505;
      }
      budget_ = field_bytes_limit_;
      state_ = State::kFieldStart;
      return p + 1;

    case State::kFieldStart:
      if (*p == '\r') {
        state_ = State::kEndLf;
        return p + 1;
      }
      if (!IsCharOf(*p, kTokenChar)) {
        status_ = 400;
      } else if (++field_count_ > field_count_limit_) {
        status_ = 431;
      }
      state_ = State::kName;
      return p;
    case State::kName:
      p = SkipRun(p, end, kTokenChar, 431);
      if (p == end || status_ != 0) return p;
      if (*p != ':') {
        status_ = 400;
        return p;
      }
      state_ = State::kValue;
      return p;
    case State::kValue:
      // The colon is an octet of kValueChar and counted here.
      p = SkipRun(p, end, kValueChar, 431);
      if (p == end || status_ != 0) return p;
      if (*p != '\r') {
        status_ = 400;
        return p;
      }
      state_ = State::kValueLf;
      return p + 1;
    case State::kValueLf:
      if (*p != '\n') status_ = 400;
      // The line end counts too; where only it goes beyond, the next line is refused.
      budget_ -= std::min<size_t>(budget_, 2);
      state_ = State::kFieldStart;
      return p + 1;
    case State::kEndLf:
      if (*p != '\n') {
        status_ = 400;
      } else {
        complete_ = true;
      }
      return p + 1;
  }
  return p;
}

const char* HeadScanner::ScanVersion(const char* p, const char* end) {
  for (; p != end && version_bytes_ < kVersionBytes; ++p, ++version_bytes_) {
    bool valid = false;
    if (version_bytes_ < kMajorAt) {
      valid = *p == kVersionPrefix[version_bytes_];
    } else if (version_bytes_ == kDotAt) {
      valid = *p == '.';
    } else {
      valid = IsCharOf(*p, kDigitChar);
      const auto digit = static_cast<uint8_t>(*p - '0');
      if (version_bytes_ == kMajorAt) major_version_ = digit;
      if (version_bytes_ == kMinorAt) {
        minor_version_ = digit;
        minor_version_offset_ = scanned_ + static_cast<size_t>(p - piece_);
      }
    }
    if (!valid) {
      status_ = 400;
      return p;
    }
    if (budget_-- == 0) {
      status_ = 414;
      return p;
    }
  }
  if (version_bytes_ == kVersionBytes) state_ = State::kLineCr;
  return p;
}

}  // namespace quintet::http
