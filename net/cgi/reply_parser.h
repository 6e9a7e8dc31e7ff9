// Reads the header of a program's reply (RFC 3875 section 6).
#ifndef QUINTET_NET_CGI_REPLY_PARSER_H_
#define QUINTET_NET_CGI_REPLY_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quintet::cgi {

// The header of a program's reply, understood.
struct ReplyHeader {
  int status = 200;  // 302 for a client redirect without one
  // Of a local redirect: a path, perhaps with a query, to be answered in the program's place; its
  // body is dropped. Empty otherwise.
  std::string local_location;
  // Content-Type, the Location of a client redirect, and all other fields, in their order; without
  // Status, and without Content-Length.
  std::vector<std::pair<std::string, std::string>> fields;
  std::optional<uint64_t> content_length;
};

// Incremental and without I/O: bytes in, a header or a reason why it is none. Lines end with LF or
// CR LF; there are no continuation lines (section 6.3).
//
// One of Content-Type, Location and Status must be there, each at most once; an empty value counts
// as none. Without Content-Type the reply is one without body: Location, or a Status.
class ReplyParser {
 public:
  enum class Result : uint8_t { kMore, kDone, kInvalid };

  // Beyond these a reply is not valid. Far more than any header needs, far less than memory.
  static constexpr size_t kMaxHeaderBytes = 32 << 10;
  static constexpr size_t kMaxFields = 100;

  // Reads from the front of `bytes` and removes what it read: behind kDone, the body begins.
  Result Feed(std::string_view& bytes);

  // After kDone.
  ReplyHeader& header() { return header_; }
  // After kInvalid: what is wrong, for a log.
  const std::string& error() const { return error_; }

 private:
  Result Fail(std::string_view error);
  Result TakeLine(std::string_view line);
  Result TakeStatus(std::string_view value);
  Result TakeLength(std::string_view value);
  Result Finish();

  std::string line_;
  size_t bytes_ = 0;  // of the header so far
  bool has_status_ = false;
  bool has_type_ = false;
  std::string location_;
  ReplyHeader header_;
  std::string error_;
};

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_REPLY_PARSER_H_
