// Writes the response of one request.
#ifndef QUINTET_NET_HTTP_RESPONSE_WRITER_H_
#define QUINTET_NET_HTTP_RESPONSE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http/date_cache.h"
#include "net/session.h"

namespace quintet::http {

// Status and fields first, then either Send(), once, or Write() as often as wanted and End(). On
// the connection's thread, within callbacks of the exchange only. The framing (Content-Length,
// chunked, or the end of the connection for HTTP/1.0), Date, Server and Connection are the writer's
// own business, as is leaving out the body for HEAD, 204 and 304 (RFC 9112 section 6.3).
class ResponseWriter {
 public:
  ResponseWriter() = default;
  ResponseWriter(const ResponseWriter&) = delete;
  ResponseWriter& operator=(const ResponseWriter&) = delete;

  // 200 unless set. Outside 200 to 599: 500. Without effect once the head was sent.
  void SetStatus(int status);

  // Adds a field; several of one name are sent in the order they were added. False, and no field,
  // when the name is no token, the value holds a control octet (so that none can split the
  // response), the field is the writer's own business, or the head was sent.
  bool AddField(std::string_view name, std::string_view value);

  // Announces the length of a body that Write() will bring, in bytes. A body that then turns out
  // shorter or longer closes the connection.
  void SetContentLength(uint64_t bytes);

  // Closes the connection after this response.
  void CloseAfter() { close_after_ = true; }

  // The whole body, with its length: completes the response. Copied before it returns.
  void Send(std::string_view body);

  // A piece of the body; copied before it returns. Takes all of it also when blocked().
  void Write(std::string_view piece);
  // Completes a response that Write() began; sends one without a body where it did not.
  void End();

  // The body that was begun has no end: closes the connection in a way that tells the peer. Without
  // a head sent, closes it without a response.
  void Fail();

  // Bytes of this response, and of earlier ones, that the kernel has not yet taken for the peer.
  size_t pending_bytes() const { return terms_.transport->output_bytes(); }
  // The peer is slower than the handler: stop writing until Exchange::OnDrained() calls.
  bool blocked() const { return terms_.transport->output_blocked(); }

  // The head was sent.
  bool begun() const { return state_ != State::kFresh; }
  // The response is complete.
  bool ended() const { return state_ == State::kEnded || state_ == State::kFailed; }

 private:
  friend class Exchange;
  friend class ServerSession;
  friend class ResponseWriterTestPeer;

  enum class State : uint8_t {
    kFresh,      // nothing sent
    kStreaming,  // head sent, body to come
    kEnded,      // complete
    kFailed,     // can no longer be completed: close the connection
  };
  enum class Coding : uint8_t { kLength, kChunked, kUntilClose };

  // What the request decides about its response.
  struct Terms {
    Transport* transport = nullptr;
    DateCache* dates = nullptr;
    std::string_view server_name;
    bool head_request = false;
    bool http_1_0 = false;
  };

  // Begins the next response, after Reset().
  void Start(const Terms& terms) { terms_ = terms; }
  // As new, so that nothing of this response shows in the next; gives large buffers back.
  void Reset();
  // AddField() of what is known to be right: `line` with its CRLF.
  void AddFieldLine(std::string_view line);
  // Lets the connection live on after the response, unless the handler or the framing are against
  // it. Counts until the head is sent.
  void set_keep_alive(bool keep_alive) { keep_alive_ = keep_alive; }
  // After the head was sent: what it said.
  bool keep_alive() const { return keep_alive_; }
  bool failed() const { return state_ == State::kFailed; }
  // After a failure: the end of the connection would pass for that of the body.
  bool end_tells_length() const { return coding_ == Coding::kUntilClose; }
  // As Reset(), for another handler to begin anew.
  void DropFields() {
    fields_.clear();
    status_ = 200;
    has_length_ = false;
    close_after_ = false;
  }

  bool body_allowed() const;
  // Settles how the body's end is told; takes back a `length` that must not be sent.
  void ChooseCoding(std::optional<uint64_t>& length);
  // Composes the head into out_.
  void ComposeHead(std::optional<uint64_t> length);
  // Room for that many octets behind those composed; what is written there is then Composed().
  char* Room(size_t bytes) {
    // The string only ever grows: each growth fills it, and a reply should cost no filling.
    if (out_.size() - out_bytes_ < bytes) out_.resize(out_bytes_ + bytes);
    return out_.data() + out_bytes_;
  }
  void Composed(const char* end) { out_bytes_ = static_cast<size_t>(end - out_.data()); }
  void Compose(std::string_view text);
  void AppendChunk(std::string_view piece);
  void Flush();

  State state_ = State::kFresh;
  Coding coding_ = Coding::kLength;
  bool keep_alive_ = false;
  bool close_after_ = false;
  bool has_length_ = false;
  int status_ = 200;
  uint64_t length_ = 0;   // announced
  uint64_t written_ = 0;  // of the body
  Terms terms_;
  std::string fields_;  // the handler's, as lines
  std::string out_;     // begins with what was composed and not yet handed to the transport
  size_t out_bytes_ = 0;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_RESPONSE_WRITER_H_
