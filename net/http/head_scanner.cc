#include "net/http/head_scanner.h"

#include <algorithm>
#include <cstring>

#include "net/http/syntax.h"

namespace quintet::http {
namespace {

constexpr std::string_view kVersionPrefix = "HTTP/";
constexpr uint8_t kMajorAt = 5;
constexpr uint8_t kDotAt = 6;
constexpr uint8_t kMinorAt = 7;
constexpr uint8_t kVersionBytes = 8;

// Where the run of octets of a class ends that begins at `p`.
template <CharClass kClass>
const char* EndOfRun(const char* p, const char* end) {
  while (p != end && IsCharOf(*p, kClass)) ++p;
  return p;
}

// Whether one of eight octets is below SP or is DEL: the octets that end a run of kValueChar, and
// HTAB, which does not. (Sean Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less
// than n" and "... has a zero byte".)
bool HasControlOctet(uint64_t octets) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighBits = kOnes << 7;
  const uint64_t below_space = (octets - kOnes * ' ') & ~octets;
  const uint64_t zero_for_del = octets ^ (kOnes * 0x7f);
  const uint64_t del = (zero_for_del - kOnes) & ~zero_for_del;
  return ((below_space | del) & kHighBits) != 0;
}

// Values are most of a head.
template <>
const char* EndOfRun<kValueChar>(const char* p, const char* end) {
  uint64_t octets;
  for (; end - p >= static_cast<ptrdiff_t>(sizeof(octets)); p += sizeof(octets)) {
    std::memcpy(&octets, p, sizeof(octets));
    if (HasControlOctet(octets)) break;
  }
  while (p != end && IsCharOf(*p, kValueChar)) ++p;
  return p;
}

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
  while (p != end && !complete_ && status_ == 0) {
    p = state_ < State::kFieldStart ? ScanRequestLine(p, end) : ScanFields(p, end);
  }
  used = static_cast<size_t>(p - data.data());
  scanned_ += used;
  if (status_ != 0) return Result::kRefused;
  return complete_ ? Result::kComplete : Result::kMore;
}

const char* HeadScanner::Refuse(const char* p, int status) {
  status_ = static_cast<int16_t>(status);
  return p;
}

template <CharClass kClass>
const char* HeadScanner::SkipRun(const char* p, const char* end, int too_large) {
  const char* const stop = EndOfRun<kClass>(p, p + std::min<size_t>(end - p, budget_));
  budget_ -= static_cast<size_t>(stop - p);
  // Stopped by the budget while there is one more octet to skip.
  if (budget_ == 0 && stop != end && IsCharOf(*stop, kClass)) return Refuse(stop, too_large);
  return stop;
}

// In both functions each state flows into the next while there is input: a head that comes in one
// piece is scanned in one go.
const char* HeadScanner::ScanRequestLine(const char* p, const char* end) {
  switch (state_) {
    case State::kEmptyLines:
      if (*p == '\r') {
        if (++empty_lines_ > kMaxEmptyLines) return Refuse(p, 400);
        state_ = State::kEmptyLineLf;
        return p + 1;
      }
      state_ = State::kMethod;
      [[fallthrough]];
    case State::kMethod:
      p = ScanMethod(p, end);
      if (p == end || status_ != 0) return p;
      if (*p != ' ' || method_bytes_ == 0) return Refuse(p, 400);
      state_ = State::kTargetStart;
      if (++p == end) return p;
      [[fallthrough]];
    case State::kTargetStart:
      // A second space is no target.
      if (!IsCharOf(*p, kTargetChar)) return Refuse(p, 400);
      state_ = State::kTarget;
      [[fallthrough]];
    case State::kTarget:
      p = SkipRun<kTargetChar>(p, end, 414);
      if (p == end || status_ != 0) return p;
      if (*p != ' ') return Refuse(p, 400);
      state_ = State::kVersion;
      if (++p == end) return p;
      [[fallthrough]];
    case State::kVersion:
      p = ScanVersion(p, end);
      if (p == end || status_ != 0) return p;
      [[fallthrough]];
    case State::kLineCr:
      if (*p != '\r') return Refuse(p, 400);
      state_ = State::kLineLf;
      if (++p == end) return p;
      [[fallthrough]];
    case State::kLineLf:
      if (*p != '\n') return Refuse(p, 400);
      if (major_version_ != 1) return Refuse(p, 505);
      budget_ = field_bytes_limit_;
      state_ = State::kFieldStart;
      return p + 1;
    case State::kEmptyLineLf:
      if (*p != '\n') return Refuse(p, 400);
      state_ = State::kEmptyLines;
      return p + 1;
    default:
      return p;
  }
}

const char* HeadScanner::ScanMethod(const char* p, const char* end) {
  const size_t room = std::min<size_t>(kMaxMethodBytes - method_bytes_, budget_);
  const char* const stop = EndOfRun<kTokenChar>(p, p + std::min<size_t>(end - p, room));
  const auto bytes = static_cast<size_t>(stop - p);
  method_bytes_ = static_cast<uint8_t>(method_bytes_ + bytes);
  budget_ -= bytes;
  if (bytes == room && stop != end && IsCharOf(*stop, kTokenChar)) {
    // Both limits may be hit by the same octet; that of the method tells more.
    return Refuse(stop, method_bytes_ == kMaxMethodBytes ? 501 : 414);
  }
  return stop;
}

const char* HeadScanner::ScanVersion(const char* p, const char* end) {
  // In one piece and of this major version, as nearly always.
  if (version_bytes_ == 0 && end - p >= kVersionBytes && budget_ >= kVersionBytes &&
      std::memcmp(p, "HTTP/1.", kMinorAt) == 0 && IsCharOf(p[kMinorAt], kDigitChar)) {
    major_version_ = 1;
    minor_version_ = static_cast<uint8_t>(p[kMinorAt] - '0');
    minor_version_offset_ = scanned_ + static_cast<size_t>(p + kMinorAt - piece_);
    budget_ -= kVersionBytes;
    state_ = State::kLineCr;
    return p + kVersionBytes;
  }
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
    if (!valid) return Refuse(p, 400);
    if (budget_-- == 0) return Refuse(p, 414);
  }
  if (version_bytes_ == kVersionBytes) state_ = State::kLineCr;
  return p;
}

const char* HeadScanner::ScanFields(const char* p, const char* end) {
  switch (state_) {
    case State::kFieldStart:
      if (*p == '\r') {
        state_ = State::kEndLf;
        return p + 1;
      }
      if (!IsCharOf(*p, kTokenChar)) return Refuse(p, 400);
      if (++field_count_ > field_count_limit_) return Refuse(p, 431);
      state_ = State::kName;
      [[fallthrough]];
    case State::kName:
      p = SkipRun<kTokenChar>(p, end, 431);
      if (p == end || status_ != 0) return p;
      if (*p != ':') return Refuse(p, 400);
      state_ = State::kValue;
      [[fallthrough]];
    case State::kValue:
      // The colon is an octet of kValueChar and counted here.
      p = SkipRun<kValueChar>(p, end, 431);
      if (p == end || status_ != 0) return p;
      if (*p != '\r') return Refuse(p, 400);
      state_ = State::kValueLf;
      if (++p == end) return p;
      [[fallthrough]];
    case State::kValueLf:
      if (*p != '\n') return Refuse(p, 400);
      // The line end counts too; where only it goes beyond, the next line is refused.
      budget_ -= std::min<size_t>(budget_, 2);
      state_ = State::kFieldStart;
      return p + 1;
    case State::kEndLf:
      if (*p != '\n') return Refuse(p, 400);
      complete_ = true;
      return p + 1;
    default:
      return p;
  }
}

}  // namespace quintet::http
