// The strict layer in front of the HTTP parser: finds the end of a head and refuses what RFC 9112
// forbids and the parser lets through.
#ifndef QUINTET_NET_HTTP_HEAD_SCANNER_H_
#define QUINTET_NET_HTTP_HEAD_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/http/options.h"
#include "net/http/syntax.h"

namespace quintet::http {

// Reads each octet once, in whatever pieces it comes: the verdict depends on the octets alone,
// never on where they were cut. It extracts nothing; that is the parser's job.
//
// Enforced: empty lines before the request line are few; the method is a token of bounded length
// (501 above: RFC 9112 section 3); single spaces; the target holds only octets of a URI; the
// version is HTTP/1.x (505 for another major version, 400 for another grammar); lines end in CRLF;
// field names are tokens with the colon right behind; no line begins with white space (obs-fold,
// section 5.2); values hold no control octet but HTAB; request line (414), field bytes and count
// (431).
class HeadScanner {
 public:
  enum class Result : uint8_t { kMore, kComplete, kRefused };

  // Empty lines tolerated before a request line. RFC 9112 section 2.2 asks for one at least.
  static constexpr int kMaxEmptyLines = 8;
  // Octets of a method; the longest registered one has 17.
  static constexpr int kMaxMethodBytes = 32;

  // Begins the head of the next request.
  void Start(const Limits& limits);
  // Begins the trailer section of the same request (RFC 9112 section 7.1.2). Its lines and octets
  // count together with those of the head.
  void StartTrailers() { state_ = State::kFieldStart; }

  // Reads from the front of `data`; `used` says how far. Beyond kComplete nothing is read.
  Result Scan(std::string_view data, size_t& used);

  // After kRefused: the status to answer with.
  int status() const { return status_; }
  // An octet of the request line has been seen (empty lines are none).
  bool started() const { return state_ != State::kEmptyLines && state_ != State::kEmptyLineLf; }
  // After the request line: where its minor version digit stands, in octets from Start(), and what
  // it is.
  size_t minor_version_offset() const { return minor_version_offset_; }
  int minor_version() const { return minor_version_; }
  // Field lines so far.
  size_t field_count() const { return field_count_; }

 private:
  // Those of the request line first.
  enum class State : uint8_t {
    kEmptyLines,
    kEmptyLineLf,
    kMethod,
    kTargetStart,
    kTarget,
    kVersion,
    kLineCr,
    kLineLf,
    kFieldStart,
    kName,
    kValue,
    kValueLf,
    kEndLf,
  };

  // Each reads from [p, end), which is not empty, and returns where it stopped.
  const char* ScanRequestLine(const char* p, const char* end);
  const char* ScanMethod(const char* p, const char* end);
  const char* ScanVersion(const char* p, const char* end);
  const char* ScanFields(const char* p, const char* end);
  // Skips octets of a class, at most as many as the budget allows.
  template <CharClass kClass>
  const char* SkipRun(const char* p, const char* end, int too_large);
  // Returns `p`, where the octet stands that was refused.
  const char* Refuse(const char* p, int status);

  State state_ = State::kEmptyLines;
  uint8_t empty_lines_ = 0;
  uint8_t method_bytes_ = 0;
  uint8_t version_bytes_ = 0;
  uint8_t major_version_ = 0;
  uint8_t minor_version_ = 0;
  bool complete_ = false;
  int16_t status_ = 0;
  size_t budget_ = 0;  // octets the current section may still have
  size_t field_bytes_limit_ = 0;
  size_t field_count_ = 0;
  size_t field_count_limit_ = 0;
  size_t scanned_ = 0;  // in earlier calls of Scan()
  size_t minor_version_offset_ = 0;
  const char* piece_ = nullptr;  // begin of the piece being scanned
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_HEAD_SCANNER_H_
