// files::FrameDecoder and the messages: the same events however a stream is cut, and those that a
// second reading of docs/files-protocol.md finds; and each payload that is a message encodes to
// the same bytes again. Of each payload it is also asked whether it is a path, and it is shown to
// people.
//
// Input: one octet, then the stream. Of the octet the lowest bit has the CRCs of headers put right,
// the next one those of payloads: no chance finds them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "net/files/frame.h"
#include "net/files/messages.h"
#include "net/files/path.h"
#include "tests/fuzz/cuts.h"

namespace quintet::testing {
namespace {

using files::FrameDecoder;
using files::FrameFault;
using files::FrameHeader;
using files::FrameType;

// RFC 3720 appendix B.4, bit by bit.
uint32_t PlainCrc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

// Where the fields of a header stand, and how large frames may be: the page, once more.
constexpr size_t kHeader = 20;
constexpr size_t kPayloadCrcAt = 12;
constexpr size_t kHeaderCrcAt = 16;
constexpr uint8_t kData = 0x40;
constexpr uint16_t kNoCrc = 0x01;
uint32_t LongestPayload(uint8_t type) { return type == kData ? 1'048'576 : 65'536; }

uint32_t Big(std::string_view bytes, size_t at, size_t size) {
  uint32_t number = 0;
  for (size_t i = 0; i < size; ++i) number = number << 8 | static_cast<uint8_t>(bytes[at + i]);
  return number;
}

void PutBig32(uint32_t number, size_t at, std::string& bytes) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(number >> (24 - 8 * i));
}

struct Frame {
  FrameHeader header;
  std::string payload;
  bool whole = false;
  bool intact = true;  // said of whole frames
  friend bool operator==(const Frame&, const Frame&) = default;
};

std::ostream& operator<<(std::ostream& out, const Frame& frame) {
  return out << "type " << static_cast<int>(frame.header.type) << ", flags " << frame.header.flags
             << ", request " << frame.header.request << ", length " << frame.header.length
             << ", there " << frame.payload.size() << (frame.whole ? ", whole" : ", cut off")
             << (frame.intact ? "" : ", damaged");
}

struct Stream {
  std::vector<Frame> frames;
  FrameFault fault = FrameFault::kNone;
  bool in_frame = false;
};

// The model. Of frames that are not whole it shows those of data alone, as the decoder does.
Stream ReadPlainly(std::string_view bytes) {
  Stream stream;
  while (!bytes.empty()) {
    stream.in_frame = bytes.size() < kHeader;
    if (stream.in_frame) return stream;
    Frame frame;
    const auto type = static_cast<uint8_t>(Big(bytes, 1, 1));
    frame.header = {.type = static_cast<FrameType>(type),
                    .flags = static_cast<uint16_t>(Big(bytes, 2, 2)),
                    .request = Big(bytes, 4, 4),
                    .length = Big(bytes, 8, 4),
                    .payload_crc = Big(bytes, kPayloadCrcAt, 4)};
    if (Big(bytes, kHeaderCrcAt, 4) != PlainCrc32c(bytes.substr(0, kHeaderCrcAt))) {
      stream.fault = FrameFault::kHeaderCrc;
    } else if (Big(bytes, 0, 1) != 1) {
      stream.fault = FrameFault::kVersion;
    } else if (frame.header.length > LongestPayload(type)) {
      stream.fault = FrameFault::kLength;
    }
    if (stream.fault != FrameFault::kNone) return stream;
    frame.payload = bytes.substr(kHeader, frame.header.length);
    frame.whole = frame.payload.size() == frame.header.length;
    stream.in_frame = !frame.whole;
    const bool has_crc = type != kData || (frame.header.flags & kNoCrc) == 0;
    if (frame.whole && has_crc) {
      frame.intact = PlainCrc32c(frame.payload) == frame.header.payload_crc;
    }
    if (frame.whole || (type == kData && !frame.payload.empty())) stream.frames.push_back(frame);
    bytes.remove_prefix(kHeader + frame.payload.size());
  }
  return stream;
}

Stream Decode(const Pieces& pieces) {
  FrameDecoder decoder;
  Stream stream;
  bool in_data = false;
  const auto data = [&] {
    if (!in_data) stream.frames.push_back({.header = decoder.header(), .payload = {}});
    in_data = true;
    return &stream.frames.back();
  };
  for (const std::string_view piece : pieces) {
    // On the heap and exactly as large: who reads beyond is found by AddressSanitizer.
    const std::vector<char> arrival(piece.begin(), piece.end());
    std::span<const std::byte> input = std::as_bytes(std::span(arrival));
    for (bool more = true; more;) {
      switch (decoder.Next(input)) {
        case FrameDecoder::Event::kMore:
          EXPECT_TRUE(input.empty()) << input.size() << " bytes are left";
          more = false;
          break;
        case FrameDecoder::Event::kFrame:
          EXPECT_FALSE(in_data);
          stream.frames.push_back({.header = decoder.header(),
                                   .payload = std::string(decoder.payload()),
                                   .whole = true,
                                   .intact = decoder.intact()});
          break;
        case FrameDecoder::Event::kDataPiece:
          EXPECT_FALSE(decoder.payload().empty());
          data()->payload += decoder.payload();
          break;
        case FrameDecoder::Event::kDataEnd:
          data()->whole = true;
          stream.frames.back().intact = decoder.intact();
          in_data = false;
          break;
        case FrameDecoder::Event::kFault:
          stream.fault = decoder.fault();
          EXPECT_NE(stream.fault, FrameFault::kNone);
          return stream;
      }
    }
  }
  stream.in_frame = decoder.in_frame();
  return stream;
}

void ExpectSame(const Stream& stream, const Stream& expected, const std::string& how) {
  EXPECT_EQ(stream.frames, expected.frames) << how;
  EXPECT_EQ(stream.fault, expected.fault) << how;
  EXPECT_EQ(stream.in_frame, expected.in_frame) << how;
}

template <typename Message>
void ExpectSameBytes(const std::optional<Message>& message, std::string_view payload) {
  if (message.has_value()) {
    EXPECT_EQ(files::Encode(*message), payload);
  }
}

// A payload may be read as any message: what it is said to be does not matter to the parsers.
void TryMessages(std::string_view payload) {
  ExpectSameBytes(files::ParseWelcome(payload), payload);
  ExpectSameBytes(files::ParseAuth(payload), payload);
  ExpectSameBytes(files::ParseGet(payload), payload);
  ExpectSameBytes(files::ParsePut(payload), payload);
  ExpectSameBytes(files::ParseRename(payload), payload);
  ExpectSameBytes(files::ParseReady(payload), payload);
  ExpectSameBytes(files::ParseFinish(payload), payload);
  ExpectSameBytes(files::ParseError(payload), payload);
  if (const auto proof = files::ParseProof(payload)) {
    EXPECT_EQ(files::EncodeProof(*proof), payload);
  }
  const auto entries = files::ParseEntries(payload);
  if (entries.has_value()) {
    std::string again;
    for (const files::Entry& entry : *entries) files::AppendEntry(again, entry);
    EXPECT_EQ(again, payload);
  }
  const bool one_entry = entries.has_value() && entries->size() == 1;
  EXPECT_EQ(files::ParseEntry(payload).has_value(), one_entry);
}

// The page's section "Paths", component by component.
bool IsPath(std::string_view path) {
  if (path.size() > 4095 || path.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (component.empty() || component.size() > 255 || component.front() == '.') return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

void TryPath(std::string_view path) {
  EXPECT_EQ(files::CheckPath(path), IsPath(path)) << path;
  const std::string shown = files::SafeText(path);
  for (const char c : shown) {
    EXPECT_FALSE(static_cast<uint8_t>(c) < 0x20 || c == 0x7f) << "a control character is shown";
  }
  EXPECT_EQ(files::SafeText(shown), shown) << "what is safe is shown as it is";
  // All that is printable ASCII stays.
  const bool plain =
      std::all_of(path.begin(), path.end(), [](char c) { return c >= ' ' && c <= '~'; });
  EXPECT_TRUE(!plain || shown == path) << shown;
}

std::string Repaired(std::string bytes, bool headers, bool payloads) {
  for (size_t at = 0; at + kHeader <= bytes.size();) {
    const std::string_view view = std::string_view(bytes).substr(at);
    const uint32_t length = Big(view, 8, 4);
    const std::string_view payload = view.substr(kHeader, length);
    if (payloads) PutBig32(PlainCrc32c(payload), at + kPayloadCrcAt, bytes);
    if (headers) PutBig32(PlainCrc32c(view.substr(0, kHeaderCrcAt)), at + kHeaderCrcAt, bytes);
    at += kHeader + payload.size();
  }
  return bytes;
}

void ExpectEncodes(const Stream& stream, std::string_view bytes) {
  size_t at = 0;
  for (const Frame& frame : stream.frames) {
    const auto header = files::EncodeHeader(frame.header);
    EXPECT_EQ(std::string_view(header.data(), header.size()), bytes.substr(at, kHeader));
    at += kHeader + frame.payload.size();
  }
}

}  // namespace
}  // namespace quintet::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quintet::testing;
  const std::string_view input = InputText(data, size);
  if (input.empty()) return 0;
  const std::string bytes =
      Repaired(std::string(input.substr(1)), (input.front() & 1) != 0, (input.front() & 2) != 0);

  const Stream whole = Decode({bytes});
  ExpectSame(whole, ReadPlainly(bytes), "the model");
  ExpectEncodes(whole, bytes);
  for (const Pieces& pieces : Cuts(bytes)) {
    ExpectSame(Decode(pieces), whole, "cut as " + Sizes(pieces));
  }
  for (const Frame& frame : whole.frames) {
    TryMessages(frame.payload);
    TryPath(frame.payload);
  }
  return 0;
}
