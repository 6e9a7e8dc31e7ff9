#include "net/http/request_reader.h"

#include <llhttp.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "net/http/kept_buffer.h"
#include "net/http/syntax.h"
#include "net/http/target.h"

namespace quintet::http {
namespace {

// Room that a reader keeps between requests: above this, Trim() gives the memory back.
constexpr size_t kKeptHeadBytes = 4 << 10;
constexpr size_t kKeptFields = 64;

constexpr std::string_view kCrLf = "\r\n";

// Makes spaces of the tabs around field values. Both are optional white space and mean nothing (RFC
// 9110 section 5.6.3), but the parser does not recognise "chunked" or a length beside a tab.
void ReplaceTabsAroundValues(std::string& head) {
  if (head.find('\t') == std::string::npos) return;
  size_t line_end = 0;
  for (size_t line = 0; line < head.size(); line = line_end + kCrLf.size()) {
    line_end = head.find(kCrLf, line);
    size_t value = std::min(head.find(':', line), line_end);
    while (++value < line_end && IsWhitespace(head[value])) head[value] = ' ';
    for (size_t last = line_end; last > value && IsWhitespace(head[last - 1]); --last) {
      head[last - 1] = ' ';
    }
  }
}

}  // namespace

// The parser sees the whole head in one call, so that each of its spans comes in one piece.
struct RequestReader::Callbacks {
  static RequestReader& reader(llhttp_t* parser) {
    return *static_cast<RequestReader*>(parser->data);
  }

  static int OnTarget(llhttp_t* parser, const char* at, size_t size) {
    reader(parser).request_.target_ = std::string_view(at, size);
    return HPE_OK;
  }
  static int OnFieldName(llhttp_t* parser, const char* at, size_t size) {
    // Trailers are checked and dropped.
    if (!reader(parser).headers_complete_) {
      reader(parser).request_.fields_.push_back({std::string_view(at, size), {}});
    }
    return HPE_OK;
  }
  static int OnFieldValue(llhttp_t* parser, const char* at, size_t size) {
    if (!reader(parser).headers_complete_) {
      reader(parser).request_.fields_.back().value = TrimWhitespace(std::string_view(at, size));
    }
    return HPE_OK;
  }
  static int OnHeadersComplete(llhttp_t* parser) {
    reader(parser).headers_complete_ = true;
    // No protocol to upgrade to is offered here: Upgrade is ignored (RFC 9110 section 7.8), and the
    // body is read as usual.
    parser->upgrade = 0;
    return HPE_OK;
  }
  static int OnBody(llhttp_t* parser, const char* at, size_t size) {
    reader(parser).piece_ = std::string_view(at, size);
    return HPE_OK;
  }
  static int OnChunkHeader(llhttp_t* parser) {
    reader(parser).chunk_begun_ = true;
    reader(parser).remaining_ = parser->content_length;
    return HPE_OK;
  }
  static int OnMessageComplete(llhttp_t* parser) {
    reader(parser).complete_ = true;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t* Settings() {
    static const llhttp_settings_t settings = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_url = OnTarget;
      made.on_header_field = OnFieldName;
      made.on_header_value = OnFieldValue;
      made.on_headers_complete = OnHeadersComplete;
      made.on_body = OnBody;
      made.on_chunk_header = OnChunkHeader;
      made.on_message_complete = OnMessageComplete;
      return made;
    }();
    return &settings;
  }
};

RequestReader::RequestReader() : parser_(std::make_unique<llhttp_t>()) {}

RequestReader::~RequestReader() = default;

void RequestReader::Start(const Limits& limits) {
  phase_ = Phase::kHead;
  headers_complete_ = false;
  complete_ = false;
  chunk_begun_ = false;
  status_ = 0;
  remaining_ = 0;
  body_bytes_ = 0;
  piece_ = {};
  head_repeated_ = false;
  const bool limits_changed = std::exchange(limits_, &limits) != &limits;
  if (!head_kept_ || limits_changed) ForgetHead();
  request_.path_rest_ = {};
  request_.body_ = {};
}

void RequestReader::ForgetHead() {
  head_kept_ = false;
  head_.clear();
  request_.fields_.clear();
  scanner_.Start(*limits_);
}

void RequestReader::Trim() {
  if (head_.capacity() <= kKeptHeadBytes && request_.fields_.capacity() <= kKeptFields) return;
  head_kept_ = false;
  FreeAbove(head_, kKeptHeadBytes);
  if (request_.fields_.capacity() > kKeptFields) request_.fields_ = std::vector<Field>();
}

bool RequestReader::BeginsAsHeadRequest() const {
  if (head_kept_) return false;  // head_ is still that of the request before
  const size_t begin = std::min(head_.find_first_not_of(kCrLf), head_.size());
  return std::string_view(head_).substr(begin).starts_with("HEAD ");
}

RequestReader::Event RequestReader::Refuse(int status) {
  status_ = status;
  return Event::kRefused;
}

bool RequestReader::Parse(std::string_view bytes) {
  const llhttp_errno_t error = llhttp_execute(parser_.get(), bytes.data(), bytes.size());
  return error == HPE_OK || (error == HPE_PAUSED && complete_);
}

RequestReader::Event RequestReader::Next(std::string_view& input) {
  piece_ = {};
  if (complete_ && phase_ != Phase::kHead) return Event::kEnd;
  switch (phase_) {
    case Phase::kHead:
      return ReadHead(input);
    case Phase::kBody:
    case Phase::kChunkData:
      return ReadBody(input);
    case Phase::kChunkLine:
      return ReadChunkLine(input);
    case Phase::kChunkEnd:
      return ReadChunkEnd(input);
    case Phase::kTrailers:
      return ReadTrailers(input);
  }
  return Event::kMore;
}

RequestReader::Event RequestReader::ReadHead(std::string_view& input) {
  if (head_kept_) {
    if (input.starts_with(head_)) {
      input.remove_prefix(head_.size());
      return RepeatHead();
    }
    ForgetHead();
  }
  size_t used = 0;
  const HeadScanner::Result result = scanner_.Scan(input, used);
  head_.append(input.substr(0, used));
  input.remove_prefix(used);
  if (result == HeadScanner::Result::kRefused) return Refuse(scanner_.status());
  return result == HeadScanner::Result::kComplete ? ParseHead() : Event::kMore;
}

RequestReader::Event RequestReader::RepeatHead() {
  head_repeated_ = true;
  headers_complete_ = true;
  complete_ = true;
  phase_ = Phase::kBody;
  return Event::kHead;
}

RequestReader::Event RequestReader::ParseHead() {
  // A higher minor version is served as HTTP/1.1 (RFC 9110 section 2.5); the parser would refuse
  // it.
  request_.minor_version_ = std::min(scanner_.minor_version(), 1);
  head_[scanner_.minor_version_offset()] = static_cast<char>('0' + request_.minor_version_);

  ReplaceTabsAroundValues(head_);

  llhttp_init(parser_.get(), HTTP_REQUEST, Callbacks::Settings());
  parser_->data = this;
  if (!Parse(head_)) {
    // The version is sound. What the parser still has against a request line is its method:
    // unknown, or of a protocol that is not HTTP/1.x.
    const llhttp_errno_t error = llhttp_get_errno(parser_.get());
    const bool method_unknown = error == HPE_INVALID_METHOD || error == HPE_INVALID_CONSTANT ||
                                error == HPE_PAUSED_H2_UPGRADE || error == HPE_INVALID_VERSION;
    return Refuse(method_unknown ? 501 : 400);
  }
  // Both layers must have seen the same request.
  if (!headers_complete_ || request_.fields_.size() != scanner_.field_count()) return Refuse(400);

  request_.method_ =
      llhttp_method_name(static_cast<llhttp_method_t>(llhttp_get_method(parser_.get())));
  request_.framing_ = ReadFraming(request_.minor_version_, request_.fields_);
  const Framing& framing = request_.framing_;
  if (framing.status != 0) return Refuse(framing.status);
  const Target target = ParseTarget(request_.method_, request_.target_);
  if (target.status != 0) return Refuse(target.status);
  request_.path_ = target.path;
  request_.query_ = target.query;
  request_.host_ = target.authority.empty() ? framing.host : target.authority;

  const bool has_more = framing.body == BodyKind::kChunked || framing.length != 0;
  if (complete_ == has_more) return Refuse(400);
  switch (framing.body) {
    case BodyKind::kNone:
      phase_ = Phase::kBody;
      // For a body the parser would have to be set up. Where head_ differs from what was received,
      // in version or tabs, it is a head that means the same.
      head_kept_ = true;
      break;
    case BodyKind::kLength:
      phase_ = Phase::kBody;
      remaining_ = framing.length;
      break;
    case BodyKind::kChunked:
      phase_ = Phase::kChunkLine;
      chunk_scanner_.Start(limits_->chunk_line_bytes);
      break;
  }
  return Event::kHead;
}

RequestReader::Event RequestReader::ReadBody(std::string_view& input) {
  if (input.empty()) return Event::kMore;
  const std::string_view bytes = input.substr(0, std::min<uint64_t>(input.size(), remaining_));
  input.remove_prefix(bytes.size());
  remaining_ -= bytes.size();
  body_bytes_ += bytes.size();
  if (!Parse(bytes) || piece_.size() != bytes.size()) return Refuse(400);
  if (phase_ == Phase::kChunkData) {
    if (remaining_ == 0) phase_ = Phase::kChunkEnd;
  } else if (complete_ != (remaining_ == 0)) {
    return Refuse(400);
  }
  return Event::kBody;
}

RequestReader::Event RequestReader::ReadChunkLine(std::string_view& input) {
  size_t used = 0;
  std::string_view digits;
  const ChunkScanner::Result result = chunk_scanner_.ScanLine(input, used, digits);
  if (result == ChunkScanner::Result::kRefused) return Refuse(400);
  input.remove_prefix(used);
  // Extensions are ignored (RFC 9112 section 7.1.1): they end here.
  if (!digits.empty() && !Parse(digits)) return Refuse(400);
  if (result == ChunkScanner::Result::kMore) return Event::kMore;

  chunk_begun_ = false;
  if (!Parse(kCrLf) || !chunk_begun_) return Refuse(400);
  if (remaining_ == 0) {
    scanner_.StartTrailers();
    phase_ = Phase::kTrailers;
    return ReadTrailers(input);
  }
  phase_ = Phase::kChunkData;
  return ReadBody(input);
}

RequestReader::Event RequestReader::ReadChunkEnd(std::string_view& input) {
  size_t used = 0;
  const ChunkScanner::Result result = chunk_scanner_.ScanDataEnd(input, used);
  if (result == ChunkScanner::Result::kRefused) return Refuse(400);
  input.remove_prefix(used);
  if (result == ChunkScanner::Result::kMore) return Event::kMore;
  if (!Parse(kCrLf)) return Refuse(400);
  phase_ = Phase::kChunkLine;
  return ReadChunkLine(input);
}

RequestReader::Event RequestReader::ReadTrailers(std::string_view& input) {
  size_t used = 0;
  const HeadScanner::Result result = scanner_.Scan(input, used);
  const std::string_view bytes = input.substr(0, used);
  input.remove_prefix(used);
  if (result == HeadScanner::Result::kRefused) return Refuse(scanner_.status());
  if (!bytes.empty() && !Parse(bytes)) return Refuse(400);
  if (result == HeadScanner::Result::kMore) return Event::kMore;
  return complete_ ? Event::kEnd : Refuse(400);
}

// Goes the way of Next(), with copies of the scanners and without the parser.
bool RequestReader::ReachesBeyond(std::string_view input) const {
  if (phase_ == Phase::kHead || complete_) return !input.empty();
  if (phase_ == Phase::kBody) return input.size() > remaining_;
  ChunkScanner chunks = chunk_scanner_;
  uint64_t size = remaining_;
  size_t used = 0;
  for (bool in_chunk = phase_ != Phase::kChunkLine;; in_chunk = true) {
    if (in_chunk) {
      if (input.size() <= size) return false;
      input.remove_prefix(size);
      if (chunks.ScanDataEnd(input, used) != ChunkScanner::Result::kComplete) return false;
      input.remove_prefix(used);
    }
    std::string_view digits;
    if (chunks.ScanLine(input, used, digits) != ChunkScanner::Result::kComplete) return false;
    input.remove_prefix(used);
    std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
    if (size == 0) break;
  }
  HeadScanner trailers = scanner_;
  trailers.StartTrailers();
  return trailers.Scan(input, used) == HeadScanner::Result::kComplete && used < input.size();
}

}  // namespace quintet::http
