// Reads one request: the strict layer, then the parser.
#ifndef QUINTET_NET_HTTP_REQUEST_READER_H_
#define QUINTET_NET_HTTP_REQUEST_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/http/chunk_scanner.h"
#include "net/http/head_scanner.h"
#include "net/http/options.h"
#include "net/http/request.h"

// llhttp_t of <llhttp.h>, which only the source needs.
struct llhttp__internal_s;

namespace quintet::http {

// Pulled by its owner: each call of Next() reads up to the next event and no further, so that the
// owner can stop between any two. Reused from request to request; keeps its buffers.
//
//   kHead          the head is complete and valid: request() is filled in
//   kBody          piece() holds body bytes
//   kEnd           the request is complete; nothing behind it was read
//   kMore          the input is used up
//   kRefused       status() says how to answer; then the connection closes
//
//   (start) -> kMore* -> kHead -> (kBody | kMore)* -> kEnd, with kRefused from anywhere.
//
// The head is copied once as it is scanned, which costs a fraction of what scanning costs, and
// makes the views of a request independent of the input: a reply may come long after the input has
// gone.
//
// A head that equals the last one octet by octet is not read again: the verdict depends on the
// octets alone. Clients that keep a connection, and their pools, repeat themselves a lot.
class RequestReader {
 public:
  enum class Event : uint8_t { kMore, kHead, kBody, kEnd, kRefused };

  RequestReader();
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;  // the parser holds its address
  RequestReader& operator=(const RequestReader&) = delete;

  // Begins the next request. `limits` outlives it and does not change.
  void Start(const Limits& limits);
  // Gives large buffers back; what a usual request needs stays.
  void Trim();

  // Reads from the front of `input` and removes what it read.
  Event Next(std::string_view& input);

  // Behind any event: `input`, what Next() has left, goes on behind the end of the request. Looks,
  // and reads nothing; false where the end is not in it.
  bool ReachesBeyond(std::string_view input) const;

  // An octet of the request has been seen; empty lines before it are none.
  bool started() const { return phase_ != Phase::kHead || (!head_kept_ && scanner_.started()); }
  bool head_complete() const { return phase_ > Phase::kHead; }
  bool complete() const { return complete_; }
  // The request asks with HEAD, as far as one can tell even when it was refused.
  bool is_head_request() const {
    return head_complete() ? request_.method_ == "HEAD" : BeginsAsHeadRequest();
  }
  // After kHead: the head equals that of the request before, and so does request().
  bool head_repeated() const { return head_repeated_; }

  Request& request() { return request_; }
  const Request& request() const { return request_; }
  // After kBody: valid as long as the input.
  std::string_view piece() const { return piece_; }
  // After kRefused.
  int status() const { return status_; }
  // Body bytes so far, without their transfer coding.
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  enum class Phase : uint8_t { kHead, kBody, kChunkLine, kChunkData, kChunkEnd, kTrailers };
  struct Callbacks;  // from the parser

  Event ReadHead(std::string_view& input);
  Event RepeatHead();
  void ForgetHead();
  bool BeginsAsHeadRequest() const;
  Event ParseHead();
  Event ReadBody(std::string_view& input);
  Event ReadChunkLine(std::string_view& input);
  Event ReadChunkEnd(std::string_view& input);
  Event ReadTrailers(std::string_view& input);
  // Lets the parser see `bytes`; false when it refuses them.
  bool Parse(std::string_view bytes);
  Event Refuse(int status);

  Phase phase_ = Phase::kHead;
  bool head_kept_ = false;  // head_ and request_ are those of a request that may come again
  bool head_repeated_ = false;
  bool headers_complete_ = false;
  bool complete_ = false;     // the parser's word for it
  bool chunk_begun_ = false;  // the parser has read a size line
  int status_ = 0;
  uint64_t remaining_ = 0;  // bytes left of the body, or of the chunk
  uint64_t body_bytes_ = 0;
  std::string_view piece_;
  const Limits* limits_ = nullptr;
  HeadScanner scanner_;
  ChunkScanner chunk_scanner_;
  const std::unique_ptr<llhttp__internal_s> parser_;
  Request request_;
  std::string head_;  // the octets of the head, from the first empty line on
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_REQUEST_READER_H_
