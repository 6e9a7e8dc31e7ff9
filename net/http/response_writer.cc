#include "net/http/response_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "net/http/kept_buffer.h"
#include "net/http/status.h"
#include "net/http/syntax.h"

namespace quintet::http {
namespace {

// Up to here a body is copied behind its head, so that one write carries both; a larger one goes to
// the transport by itself.
constexpr size_t kCoalescedBodyBytes = 4 << 10;
// Above this Reset() gives a buffer back.
constexpr size_t kKeptBytes = 8 << 10;

constexpr std::string_view kCrLf = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

// Fields that the writer sends itself, or that belong to the connection rather than to the
// response.
constexpr std::array<std::string_view, 8> kOwnFields = {
    "Content-Length", "Transfer-Encoding", "Connection", "Date",
    "Server",         "Keep-Alive",        "Upgrade",    "Trailer"};

// Digits of the largest number.
constexpr size_t kMaxNumberBytes = 20;
// More than the writer's own parts of a head take together, but for the server's name: status line
// 46, Date 37, Server 10, a length 38 or a transfer coding 28, Connection 24, the last line 2.
constexpr size_t kMaxOwnHeadBytes = 256;

// Both return where the text ends.
char* Put(char* at, std::string_view text) {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

char* PutNumber(char* at, uint64_t value, int base) {
  return std::to_chars(at, at + kMaxNumberBytes, value, base).ptr;
}

}  // namespace

void ResponseWriter::Reset() {
  state_ = State::kFresh;
  coding_ = Coding::kLength;
  keep_alive_ = false;
  close_after_ = false;
  has_length_ = false;
  status_ = 200;
  length_ = 0;
  written_ = 0;
  fields_.clear();
  out_bytes_ = 0;
  FreeAbove(fields_, kKeptBytes);
  FreeAbove(out_, kKeptBytes);
}

void ResponseWriter::SetStatus(int status) {
  if (begun()) return;
  status_ = status >= 200 && status <= 599 ? status : 500;
}

bool ResponseWriter::AddField(std::string_view name, std::string_view value) {
  if (begun() || !IsToken(name) || !IsFieldValue(value)) return false;
  for (const std::string_view own : kOwnFields) {
    if (EqualsIgnoreCase(name, own)) return false;
  }
  fields_.append(name).append(": ").append(value).append(kCrLf);
  return true;
}

void ResponseWriter::AddFieldLine(std::string_view line) {
  if (!begun()) fields_.append(line);
}

void ResponseWriter::SetContentLength(uint64_t bytes) {
  if (begun()) return;
  has_length_ = true;
  length_ = bytes;
}

bool ResponseWriter::body_allowed() const {
  return !terms_.head_request && StatusHasContent(status_);
}

void ResponseWriter::ChooseCoding(std::optional<uint64_t>& length) {
  if (!StatusHasContent(status_)) {
    // A length has no meaning in 204 (RFC 9110 section 8.6); in 304 it would have to be that of the
    // 200, which is known only where the handler has announced it.
    if (status_ == 304 && has_length_) length = length_;
    if (status_ == 204 || !has_length_) length.reset();
    coding_ = Coding::kLength;
  } else if (!length.has_value()) {
    coding_ = terms_.http_1_0 ? Coding::kUntilClose : Coding::kChunked;
  }
  if (close_after_ || coding_ == Coding::kUntilClose) keep_alive_ = false;
}

void ResponseWriter::ComposeHead(std::optional<uint64_t> length) {
  ChooseCoding(length);
  const std::string_view date = terms_.dates->FieldLine(terms_.transport->now());
  // Room for all of it at once, then written without further checks.
  char* at = Room(kMaxOwnHeadBytes + terms_.server_name.size() + fields_.size());
  if (status_ == 200) {
    at = Put(at, "HTTP/1.1 200 OK\r\n");
  } else {
    at = PutNumber(Put(at, "HTTP/1.1 "), static_cast<uint64_t>(status_), 10);
    at = Put(Put(Put(at, " "), StatusReason(status_)), kCrLf);
  }
  at = Put(at, date);
  if (!terms_.server_name.empty()) at = Put(Put(Put(at, "Server: "), terms_.server_name), kCrLf);
  at = Put(at, fields_);
  if (length.has_value()) {
    at = Put(PutNumber(Put(at, "Content-Length: "), *length, 10), kCrLf);
  } else if (coding_ == Coding::kChunked) {
    at = Put(at, "Transfer-Encoding: chunked\r\n");
  }
  if (!keep_alive_) {
    at = Put(at, "Connection: close\r\n");
  } else if (terms_.http_1_0) {
    at = Put(at, "Connection: keep-alive\r\n");
  }
  Composed(Put(at, kCrLf));
  state_ = State::kStreaming;
}

void ResponseWriter::Compose(std::string_view text) {
  if (!text.empty()) Composed(Put(Room(text.size()), text));
}

void ResponseWriter::Flush() {
  if (out_bytes_ == 0) return;
  terms_.transport->Write({out_.data(), out_bytes_});
  out_bytes_ = 0;
}

void ResponseWriter::Send(std::string_view body) {
  if (begun()) return;
  ComposeHead(body.size());
  state_ = State::kEnded;
  if (body_allowed()) {
    if (body.size() > kCoalescedBodyBytes) {
      Flush();
      terms_.transport->Write(body);
      return;
    }
    Compose(body);
  }
  Flush();
}

void ResponseWriter::AppendChunk(std::string_view piece) {
  Composed(Put(PutNumber(Room(kMaxNumberBytes + kCrLf.size()), piece.size(), 16), kCrLf));
  if (piece.size() > kCoalescedBodyBytes) {
    Flush();
    terms_.transport->Write(piece);
  } else {
    Compose(piece);
  }
  Compose(kCrLf);
}

void ResponseWriter::Write(std::string_view piece) {
  if (ended()) return;
  if (!begun()) ComposeHead(has_length_ ? std::optional<uint64_t>(length_) : std::nullopt);
  if (has_length_ && piece.size() > length_ - written_) {
    state_ = State::kFailed;
    return;
  }
  written_ += piece.size();
  // An empty chunk would end the body.
  if (body_allowed() && !piece.empty()) {
    if (coding_ == Coding::kChunked) {
      AppendChunk(piece);
    } else if (piece.size() > kCoalescedBodyBytes) {
      Flush();
      terms_.transport->Write(piece);
      return;
    } else {
      Compose(piece);
    }
  }
  Flush();
}

void ResponseWriter::Fail() {
  if (!ended()) state_ = State::kFailed;
}

void ResponseWriter::End() {
  if (ended()) return;
  if (!begun()) {
    // Nothing to stream after all. For HEAD the handler may have announced a length.
    ComposeHead(has_length_ ? length_ : 0);
    coding_ = Coding::kLength;
  }
  if (has_length_ && body_allowed() && written_ != length_) {
    state_ = State::kFailed;
  } else {
    if (coding_ == Coding::kChunked && body_allowed()) Compose(kLastChunk);
    state_ = State::kEnded;
  }
  Flush();
}

}  // namespace quintet::http
