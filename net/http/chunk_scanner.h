// The strict layer in front of the HTTP parser for chunked bodies (RFC 9112 section 7.1).
#ifndef QUINTET_NET_HTTP_CHUNK_SCANNER_H_
#define QUINTET_NET_HTTP_CHUNK_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quintet::http {

// Checks size lines, whatever the pieces they come in: one hexadecimal digit at least and no more
// than 64 bits hold, extensions by their grammar (RFC 9112 section 7.1.1), CRLF at the end, a
// bounded length. And the CRLF after each chunk's data.
class ChunkScanner {
 public:
  enum class Result : uint8_t { kMore, kComplete, kRefused };

  // `line_bytes`: the longest size line, without its CRLF.
  void Start(size_t line_bytes);

  // Reads a size line from the front of `data`; `used` says how far. `digits` is the part of it
  // that the parser needs: the octets of chunk-size that were in this piece. Extensions stay here.
  Result ScanLine(std::string_view data, size_t& used, std::string_view& digits);

  // Reads the CRLF behind a chunk's data.
  Result ScanDataEnd(std::string_view data, size_t& used);

 private:
  enum class State : uint8_t {
    kSizeStart,
    kSize,
    kBeforeSemicolon,  // white space: only a semicolon may follow
    kNameStart,
    kName,
    kAfterName,
    kValueStart,
    kValue,
    kQuoted,
    kQuotedPair,
    kAfterValue,
    kLineLf,
    kDataCr,
    kDataLf,
  };

  // The state after `c`, or false to refuse it.
  bool Advance(char c);
  // What may stand where an extension has ended.
  bool AdvanceAfterExtension(char c, State whitespace);

  State state_ = State::kSizeStart;
  uint8_t significant_digits_ = 0;
  size_t line_bytes_ = 0;
  size_t line_bytes_limit_ = 0;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_CHUNK_SCANNER_H_
