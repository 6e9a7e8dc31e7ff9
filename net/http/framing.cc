#include "net/http/framing.h"

#include <charconv>

#include "net/http/syntax.h"
#include "net/http/target.h"

namespace quintet::http {
namespace {

// Collects what concerns framing in one pass over the fields.
class FramingReader {
 public:
  explicit FramingReader(int minor_version) : minor_version_(minor_version) {}

  void Read(const Field& field) {
    // By length first: most fields are none of these.
    switch (field.name.size()) {
      case 4:
        if (EqualsIgnoreCase(field.name, "host")) ReadHost(field.value);
        break;
      case 6:
        if (EqualsIgnoreCase(field.name, "expect")) ReadExpect(field.value);
        break;
      case 10:
        if (EqualsIgnoreCase(field.name, "connection")) ReadConnection(field.value);
        break;
      case 14:
        if (EqualsIgnoreCase(field.name, "content-length")) ReadLength(field.value);
        break;
      case 17:
        if (EqualsIgnoreCase(field.name, "transfer-encoding")) ReadCodings(field.value);
        break;
      default:
        break;
    }
  }

  Framing Finish() {
    if (minor_version_ >= 1 && !has_host_) Refuse(400);
    if (has_codings_) FinishCodings();
    if (framing_.has_length && !has_codings_) framing_.body = BodyKind::kLength;
    framing_.keep_alive = !close_ && (minor_version_ >= 1 || keep_alive_);
    // An HTTP/1.0 client cannot wait for 100 (RFC 9110 section 10.1.1).
    if (minor_version_ == 0) framing_.expect_continue = false;
    return framing_;
  }

 private:
  // The first reason stands.
  void Refuse(int status) {
    if (framing_.status == 0) framing_.status = status;
  }

  void ReadHost(std::string_view value) {
    if (has_host_ || !IsValidHost(value)) Refuse(400);
    has_host_ = true;
    framing_.host = value;
  }

  void ReadExpect(std::string_view value) {
    ForEachListElement(value, [this](std::string_view element) {
      if (EqualsIgnoreCase(element, "100-continue")) {
        framing_.expect_continue = true;
      } else {
        framing_.expectation_failed = true;
      }
    });
  }

  void ReadConnection(std::string_view value) {
    ForEachListElement(value, [this](std::string_view element) {
      if (EqualsIgnoreCase(element, "close")) close_ = true;
      if (EqualsIgnoreCase(element, "keep-alive")) keep_alive_ = true;
    });
  }

  void ReadLength(std::string_view value) {
    if (framing_.has_length) Refuse(400);
    framing_.has_length = true;
    // from_chars takes a minus sign even here.
    if (!AllCharsOf(value, kDigitChar)) Refuse(400);
    const char* const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, framing_.length);
    if (error != std::errc() || stop != end) Refuse(400);
  }

  void ReadCodings(std::string_view value) {
    has_codings_ = true;
    ForEachListElement(value, [this](std::string_view element) {
      const bool chunked = EqualsIgnoreCase(element, "chunked");
      // Chunked twice, or something on top of it.
      if (last_is_chunked_) Refuse(400);
      if (!chunked && !IsToken(element.substr(0, element.find_first_of("; \t")))) Refuse(400);
      if (!chunked) has_other_coding_ = true;
      last_is_chunked_ = chunked;
    });
  }

  void FinishCodings() {
    // RFC 9112 section 6.1: the framing of such an HTTP/1.0 message is faulty. Section 6.3: with a
    // length beside it, it may be an attempt at smuggling; without chunked as the last coding the
    // length is not known.
    if (minor_version_ == 0 || framing_.has_length || !last_is_chunked_) Refuse(400);
    if (has_other_coding_) Refuse(501);
    framing_.body = BodyKind::kChunked;
  }

  const int minor_version_;
  bool has_host_ = false;
  bool has_codings_ = false;
  bool has_other_coding_ = false;
  bool last_is_chunked_ = false;
  bool close_ = false;
  bool keep_alive_ = false;
  Framing framing_;
};

}  // namespace

Framing ReadFraming(int minor_version, std::span<const Field> fields) {
  FramingReader reader(minor_version);
  for (const Field& field : fields) reader.Read(field);
  return reader.Finish();
}

}  // namespace quintet::http
