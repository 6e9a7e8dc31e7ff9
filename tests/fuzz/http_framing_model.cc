#include "tests/fuzz/http_framing_model.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace quintet::testing {
namespace {

// Beyond these a request is not plain; far below every limit of a server.
constexpr size_t kPlainEmptyLines = 1;
constexpr size_t kPlainMethodOctets = 16;
constexpr size_t kPlainFields = 50;
constexpr size_t kPlainChunkLineOctets = 200;
constexpr uint64_t kPlainBodyOctets = 64 << 10;
constexpr std::array<std::string_view, 7> kPlainMethods = {"GET",    "HEAD",    "POST", "PUT",
                                                           "DELETE", "OPTIONS", "PATCH"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsBlank(char c) { return c == ' ' || c == '\t'; }
// RFC 9110 section 5.6.2.
bool IsTchar(char c) {
  return IsDigit(c) || IsAlpha(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
// VCHAR of RFC 5234.
bool IsVisible(char c) { return c >= '!' && c <= '~'; }
bool IsObsText(char c) { return static_cast<unsigned char>(c) >= 0x80; }
// Of field values with the white space in and around them, RFC 9110 section 5.5, and of quoted
// pairs.
bool IsValueChar(char c) { return IsVisible(c) || IsObsText(c) || IsBlank(c); }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

// The elements of a comma-separated list, lower-case, without the empty ones.
std::vector<std::string> Elements(std::string_view list) {
  std::vector<std::string> elements;
  for (bool more = true; more;) {
    const size_t comma = list.find(',');
    more = comma != std::string_view::npos;
    const std::string_view element = Trim(list.substr(0, comma));
    if (!element.empty()) elements.push_back(Lower(element));
    if (more) list.remove_prefix(comma + 1);
  }
  return elements;
}

bool IsPlainTarget(std::string_view target) {
  return target.starts_with('/') && std::all_of(target.begin(), target.end(), [](char c) {
           return IsAlpha(c) || IsDigit(c) || c == '/' || c == '.' || c == '_' || c == '-';
         });
}

bool IsPlainHost(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return IsAlpha(c) || IsDigit(c) || c == '.' || c == '-';
  });
}

// What the fields of a head say about the framing.
struct Head {
  int major = 0;
  int minor = 0;
  std::vector<std::string> hosts;
  std::vector<std::string> lengths;
  std::vector<std::string> codings;
  bool coded = false;  // there is a Transfer-Encoding, perhaps an empty one
  std::vector<std::string> connection;
};

// Descends through the grammar octet by octet. Each function reads one rule of it and returns
// whether that was there; if not, stop_ says why nothing more is read.
class StreamReader {
 public:
  explicit StreamReader(std::string_view bytes) : bytes_(bytes) {}

  ModelStream Read() {
    while (at_ < bytes_.size()) {
      stream_.requests.emplace_back();
      if (!ReadRequest()) {
        stream_.end = bad_ ? ModelStream::End::kBad : ModelStream::End::kOpen;
        break;
      }
      if (request().closes) {
        stream_.end = ModelStream::End::kClosed;
        break;
      }
    }
    return std::move(stream_);
  }

 private:
  ModelRequest& request() { return stream_.requests.back(); }
  bool Bad() {
    bad_ = true;
    return false;
  }

  // False at the end of the input.
  bool Peek(char& c) const {
    if (at_ == bytes_.size()) return false;
    c = bytes_[at_];
    return true;
  }
  bool Expect(char expected) {
    char c = 0;
    if (!Peek(c)) return false;
    if (c != expected) return Bad();
    ++at_;
    return true;
  }
  bool Expect(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [this](char c) { return Expect(c); });
  }
  // All octets up to the first one that is none of the class, which must be there.
  template <typename IsOfClass>
  bool TakeRun(IsOfClass is_of_class, std::string& run) {
    char c = 0;
    for (; Peek(c) && is_of_class(c); ++at_) run += c;
    return at_ < bytes_.size();
  }

  bool ReadRequest() {
    Head head;
    fields_ = 0;
    if (!ReadEmptyLines() || !ReadRequestLine(head) || !ReadFields(&head)) return false;
    if (!JudgeHead(head)) return Bad();
    request().head_complete = true;
    const bool chunked = !head.codings.empty();
    if (!(chunked ? ReadChunks() : ReadLength(head))) return false;
    request().complete = true;
    return true;
  }

  // Section 2.2.
  bool ReadEmptyLines() {
    char c = 0;
    for (size_t lines = 0; Peek(c) && c == '\r'; ++lines) {
      if (lines == kPlainEmptyLines) request().plain = false;
      if (!Expect("\r\n")) return false;
    }
    return at_ < bytes_.size();
  }

  // Section 3.
  bool ReadRequestLine(Head& head) {
    std::string method;
    const bool method_ended = TakeRun(IsTchar, method);
    if (method.size() > kPlainMethodOctets) request().plain = false;
    if (!method_ended) return false;
    if (method.empty() || !Expect(' ')) return Bad();
    request().method = method;
    if (std::find(kPlainMethods.begin(), kPlainMethods.end(), method) == kPlainMethods.end()) {
      request().plain = false;
    }
    std::string target;
    const bool target_ended = TakeRun(IsVisible, target);
    if (!target.empty() && !IsPlainTarget(target)) request().plain = false;
    if (!target_ended) return false;
    if (target.empty() || !Expect(' ')) return Bad();
    request().target = target;
    return Expect("HTTP/") && TakeDigit(head.major) && Expect('.') && TakeDigit(head.minor) &&
           Expect("\r\n") && (head.major == 1 || Bad());
  }

  bool TakeDigit(int& digit) {
    char c = 0;
    if (!Peek(c)) return false;
    if (!IsDigit(c)) return Bad();
    digit = c - '0';
    ++at_;
    return true;
  }

  // Section 5, up to the empty line; null: trailers, which say nothing here.
  bool ReadFields(Head* head) {
    char c = 0;
    while (Peek(c)) {
      if (c == '\r') return Expect("\r\n");
      std::string name;
      std::string value;
      if (!TakeRun(IsTchar, name)) return false;
      if (name.empty() || !Expect(':')) return Bad();
      if (!TakeRun(IsValueChar, value) || !Expect("\r\n")) return false;
      if (++fields_ > kPlainFields) request().plain = false;
      if (head != nullptr) Note(Lower(name), std::string(Trim(value)), *head);
    }
    return false;
  }

  void Note(const std::string& name, const std::string& value, Head& head) {
    if (name == "host") head.hosts.push_back(value);
    if (name == "content-length") head.lengths.push_back(value);
    if (name == "expect") request().plain = false;
    if (name == "connection") Append(Elements(value), head.connection);
    if (name == "transfer-encoding") {
      // Empty elements are to be passed over (RFC 9110 section 5.6.1.2), but who writes them here
      // may be up to no good: a server may be stricter.
      if (head.coded || Lower(value) != "chunked") request().plain = false;
      head.coded = true;
      Append(Elements(value), head.codings);
    }
  }

  static void Append(std::vector<std::string> from, std::vector<std::string>& to) {
    to.insert(to.end(), from.begin(), from.end());
  }

  // Sections 3.2, 6.1 to 6.3 and 9.3.
  bool JudgeHead(const Head& head) {
    const bool old = head.minor == 0;
    if (head.hosts.size() > 1 || (head.hosts.empty() && !old)) return false;
    if (!head.hosts.empty() && !IsPlainHost(head.hosts.front())) request().plain = false;

    if (head.lengths.size() > 1) return false;
    if (head.coded) {
      if (old || !head.lengths.empty()) return false;
      if (head.codings != std::vector<std::string>{"chunked"}) return false;
    }
    const auto says = [&head](std::string_view option) {
      return std::find(head.connection.begin(), head.connection.end(), option) !=
             head.connection.end();
    };
    request().closes = says("close") || (old && !says("keep-alive"));
    return head.lengths.empty() || ParseLength(head.lengths.front());
  }

  // 1*DIGIT, below 2^64.
  bool ParseLength(const std::string& digits) {
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), IsDigit)) return false;
    length_ = 0;
    for (const char c : digits) {
      if (!Shift(10, static_cast<unsigned>(c - '0'), length_)) return false;
    }
    if (length_ > kPlainBodyOctets) request().plain = false;
    return true;
  }

  // number * base + digit, unless that does not fit.
  static bool Shift(unsigned base, unsigned digit, uint64_t& number) {
    if (number > (std::numeric_limits<uint64_t>::max() - digit) / base) return false;
    number = number * base + digit;
    return true;
  }

  bool ReadLength(const Head& head) { return head.lengths.empty() || TakeBody(length_); }

  bool TakeBody(uint64_t octets) {
    const std::string_view body = bytes_.substr(at_, octets);
    request().body += body;
    at_ += body.size();
    return body.size() == octets;
  }

  // Section 7.1.
  bool ReadChunks() {
    for (;;) {
      const size_t line = at_;
      uint64_t size = 0;
      const bool line_ended = TakeChunkSize(size) && ReadExtensions() && Expect("\r\n");
      if (at_ - line > kPlainChunkLineOctets) request().plain = false;
      if (!line_ended) return false;
      if (size == 0) return ReadFields(nullptr);
      if (size > kPlainBodyOctets) request().plain = false;
      if (!TakeBody(size) || !Expect("\r\n")) return false;
    }
  }

  bool TakeChunkSize(uint64_t& size) {
    char c = 0;
    for (bool first = true;; first = false, ++at_) {
      if (!Peek(c)) return false;
      const char lower = IsAlpha(c) ? static_cast<char>(c | 0x20) : c;
      const bool hexadecimal = IsDigit(lower) || (lower >= 'a' && lower <= 'f');
      if (!hexadecimal) return !first || Bad();
      const int digit = IsDigit(lower) ? lower - '0' : lower - 'a' + 10;
      if (!Shift(16, static_cast<unsigned>(digit), size)) return Bad();
    }
  }

  // *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), section 7.1.1.
  bool ReadExtensions() {
    for (;;) {
      bool blank = false;
      char c = 0;
      if (!SkipBlank(blank, c)) return false;
      if (c != ';') return !blank || Bad();
      ++at_;
      if (!SkipBlank(blank, c)) return false;
      std::string name;
      if (!TakeRun(IsTchar, name)) return false;
      if (name.empty()) return Bad();
      const size_t behind_name = at_;
      if (!SkipBlank(blank, c)) return false;
      if (c != '=') {
        at_ = behind_name;
        continue;
      }
      ++at_;
      if (!SkipBlank(blank, c)) return false;
      if (!(c == '"' ? ReadQuoted() : ReadToken())) return false;
    }
  }

  // Up to the octet behind the white space, `c`, which must be there; `blank`: there was some.
  bool SkipBlank(bool& blank, char& c) {
    std::string run;
    const bool more = TakeRun(IsBlank, run);
    blank = !run.empty();
    return more && Peek(c);
  }

  bool ReadToken() {
    std::string token;
    if (!TakeRun(IsTchar, token)) return false;
    return !token.empty() || Bad();
  }

  // RFC 9110 section 5.6.4.
  bool ReadQuoted() {
    char c = 0;
    for (++at_; Peek(c); ++at_) {
      if (c == '"') {
        ++at_;
        return at_ < bytes_.size();
      }
      if (c == '\\') {
        ++at_;
        if (!Peek(c)) return false;
      }
      if (!IsValueChar(c)) return Bad();
    }
    return false;
  }

  const std::string_view bytes_;
  size_t at_ = 0;
  bool bad_ = false;
  size_t fields_ = 0;  // of this request, its trailers included
  uint64_t length_ = 0;
  ModelStream stream_;
};

}  // namespace

ModelStream ReadStream(std::string_view bytes) { return StreamReader(bytes).Read(); }

}  // namespace quintet::testing
