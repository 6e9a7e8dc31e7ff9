#include "net/files/frame.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "net/files/wire.h"

namespace quintet::files {
namespace {

// What the header's CRC is of: all that stands before it.
constexpr size_t kChecksummedBytes = kHeaderBytes - sizeof(uint32_t);
// Memory for frames that came in pieces, which a decoder holds on to between frames. Headers and
// most names fit; that of longer frames is given back, since an idle connection shall hold little.
constexpr size_t kHeldBytes = 256;

bool HasPayloadCrc(const FrameHeader& header) {
  return header.type != FrameType::kData || (header.flags & kNoPayloadCrc) == 0;
}

}  // namespace

bool KnownType(FrameType type) {
  return SentBy(type, Sender::kClient) || SentBy(type, Sender::kServer);
}

bool SentBy(FrameType type, Sender sender) {
  switch (type) {
    case FrameType::kAuth:
    case FrameType::kList:
    case FrameType::kStat:
    case FrameType::kGet:
    case FrameType::kPut:
    case FrameType::kDelete:
    case FrameType::kRename:
    case FrameType::kQuit:
    case FrameType::kCancel:
    case FrameType::kFinish:
      return sender == Sender::kClient;
    case FrameType::kData:
      return true;
    case FrameType::kWelcome:
    case FrameType::kEnd:
    case FrameType::kError:
    case FrameType::kEntries:
    case FrameType::kInfo:
    case FrameType::kReady:
      return sender == Sender::kServer;
  }
  return false;
}

uint16_t DefinedFlags(FrameType type, Sender sender) {
  if (!SentBy(type, sender)) return 0;
  switch (type) {
    case FrameType::kData:
      return sender == Sender::kServer ? kNoPayloadCrc : 0;
    case FrameType::kGet:
      return kVerify;
    case FrameType::kList:
      return kDirectories;
    case FrameType::kPut:
      return kResume | kMakeDirectories;
    default:
      return 0;
  }
}

uint32_t MaxPayload(FrameType type) {
  return type == FrameType::kData ? kMaxDataPayload : kMaxPayload;
}

std::array<char, kHeaderBytes> EncodeHeader(const FrameHeader& header) {
  std::array<char, kHeaderBytes> bytes;
  char* at = bytes.data();
  at = PutNumber(kProtocolVersion, at);
  at = PutNumber(static_cast<uint8_t>(header.type), at);
  at = PutNumber(header.flags, at);
  at = PutNumber(header.request, at);
  at = PutNumber(header.length, at);
  at = PutNumber(header.payload_crc, at);
  PutNumber(Crc32c({bytes.data(), kChecksummedBytes}), at);
  return bytes;
}

std::string EncodeFrame(FrameType type, uint16_t flags, uint32_t request,
                        std::string_view payload) {
  assert(payload.size() <= MaxPayload(type));
  FrameHeader header{.type = type,
                     .flags = flags,
                     .request = request,
                     .length = static_cast<uint32_t>(payload.size())};
  if (HasPayloadCrc(header)) header.payload_crc = Crc32c(payload);
  const std::array<char, kHeaderBytes> bytes = EncodeHeader(header);
  std::string frame;
  frame.reserve(bytes.size() + payload.size());
  frame.append(bytes.data(), bytes.size());
  frame.append(payload);
  return frame;
}

FrameDecoder::Event FrameDecoder::Next(std::span<const std::byte>& input) {
  payload_ = {};
  if (std::exchange(kept_used_, false)) {
    kept_.clear();
    if (kept_.capacity() > kHeldBytes) kept_.shrink_to_fit();
  }
  if (fault_ != FrameFault::kNone) return Event::kFault;

  if (stage_ == Stage::kHeader) {
    const std::optional<std::string_view> bytes = Collect(kHeaderBytes, input);
    if (!bytes.has_value()) return Event::kMore;
    const bool readable = ReadHeader(*bytes);
    // The header is read: its place is for the payload now.
    kept_.clear();
    kept_used_ = false;
    if (!readable) return Event::kFault;
  }
  if (stage_ == Stage::kData) return NextData(input);

  const std::optional<std::string_view> payload = Collect(header_.length, input);
  if (!payload.has_value()) return Event::kMore;
  stage_ = Stage::kHeader;
  payload_ = *payload;
  intact_ = Crc32c(payload_) == header_.payload_crc;
  return Event::kFrame;
}

bool FrameDecoder::in_frame() const {
  return stage_ != Stage::kHeader || (!kept_.empty() && !kept_used_);
}

bool FrameDecoder::ReadHeader(std::string_view bytes) {
  WireReader reader(bytes);
  const auto version = reader.TakeNumber<uint8_t>();
  header_.type = static_cast<FrameType>(reader.TakeNumber<uint8_t>());
  header_.flags = reader.TakeNumber<uint16_t>();
  header_.request = reader.TakeNumber<uint32_t>();
  header_.length = reader.TakeNumber<uint32_t>();
  header_.payload_crc = reader.TakeNumber<uint32_t>();
  const auto crc = reader.TakeNumber<uint32_t>();
  assert(reader.Complete());

  if (crc != Crc32c(bytes.substr(0, kChecksummedBytes))) {
    fault_ = FrameFault::kHeaderCrc;
  } else if (version != kProtocolVersion) {
    fault_ = FrameFault::kVersion;
  } else if (header_.length > MaxPayload(header_.type)) {
    fault_ = FrameFault::kLength;
  } else if (header_.type == FrameType::kData) {
    stage_ = Stage::kData;
    data_left_ = header_.length;
    crc_ = 0;
  } else {
    stage_ = Stage::kPayload;
  }
  return fault_ == FrameFault::kNone;
}

std::optional<std::string_view> FrameDecoder::Collect(size_t size,
                                                      std::span<const std::byte>& input) {
  assert(kept_.size() <= size);
  const size_t taken = std::min(size - kept_.size(), input.size());
  const std::string_view bytes(reinterpret_cast<const char*>(input.data()), taken);
  input = input.subspan(taken);
  if (taken == size) return bytes;
  kept_.append(bytes);
  if (kept_.size() < size) return std::nullopt;
  kept_used_ = true;
  return kept_;
}

FrameDecoder::Event FrameDecoder::NextData(std::span<const std::byte>& input) {
  if (data_left_ == 0) {
    stage_ = Stage::kHeader;
    intact_ = !HasPayloadCrc(header_) || crc_ == header_.payload_crc;
    return Event::kDataEnd;
  }
  if (input.empty()) return Event::kMore;
  const size_t taken = std::min<size_t>(data_left_, input.size());
  payload_ = {reinterpret_cast<const char*>(input.data()), taken};
  input = input.subspan(taken);
  data_left_ -= static_cast<uint32_t>(taken);
  if (HasPayloadCrc(header_)) crc_ = Crc32c(payload_, crc_);
  return Event::kDataPiece;
}

}  // namespace quintet::files
