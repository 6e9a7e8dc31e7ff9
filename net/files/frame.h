// Frames of the files protocol (docs/files-protocol.md): a header of fixed size, then a payload.
#ifndef QUINTET_NET_FILES_FRAME_H_
#define QUINTET_NET_FILES_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/files/crc32c.h"

namespace quintet::files {

inline constexpr uint8_t kProtocolVersion = 1;
inline constexpr size_t kHeaderBytes = 20;
// Longest payload of a data frame, and of any other. Lengths above are refused.
inline constexpr uint32_t kMaxDataPayload = 1 << 20;
inline constexpr uint32_t kMaxPayload = 64 << 10;

enum class FrameType : uint8_t {
  // From the client.
  kAuth = 0x01,
  kList = 0x02,
  kStat = 0x03,
  kGet = 0x04,
  kPut = 0x05,
  kDelete = 0x06,
  kRename = 0x07,
  kQuit = 0x08,
  kCancel = 0x09,
  kFinish = 0x0a,
  // Both ways.
  kData = 0x40,
  // From the server.
  kWelcome = 0x81,
  kEnd = 0x82,
  kError = 0x83,
  kEntries = 0x84,
  kInfo = 0x85,
  kReady = 0x86,
};

// Bits of FrameHeader::flags. Each is defined for the frames named, and must be 0 elsewhere.
enum FrameFlag : uint16_t {
  kNoPayloadCrc = 1 << 0,     // kData from the server: payload_crc is 0 and says nothing
  kVerify = 1 << 1,           // kGet: data frames shall bear a CRC
  kDirectories = 1 << 2,      // kList: directories as well
  kResume = 1 << 3,           // kPut: go on with what is left of an upload with this key
  kMakeDirectories = 1 << 4,  // kPut: make the directories that are missing
};

struct FrameHeader {
  FrameType type = FrameType::kError;
  uint16_t flags = 0;
  uint32_t request = 0;  // chosen by the client; 0 is the connection itself
  uint32_t length = 0;   // of the payload
  uint32_t payload_crc = 0;

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

// Who sends. Types and flags belong to one side, or to both.
enum class Sender : uint8_t { kClient, kServer };
// The protocol knows `type`, which may be any number.
bool KnownType(FrameType type);
// Frames of this type come from `sender`. False for types that are unknown.
bool SentBy(FrameType type, Sender sender);
// The flags that `sender` may set in a frame of this type.
uint16_t DefinedFlags(FrameType type, Sender sender);
// The longest payload of a frame of this type, known or not.
uint32_t MaxPayload(FrameType type);

// With the header's own CRC; `payload_crc` is the caller's.
std::array<char, kHeaderBytes> EncodeHeader(const FrameHeader& header);
// A whole frame, its CRCs included, unless kNoPayloadCrc says otherwise. `payload` is not above
// MaxPayload().
std::string EncodeFrame(FrameType type, uint16_t flags, uint32_t request, std::string_view payload);

// Why a stream of frames cannot be read on.
enum class FrameFault : uint8_t {
  kNone,
  kHeaderCrc,  // what follows cannot be found
  kVersion,    // unknown
  kLength,     // above the limit of the type
};

// Cuts a stream into frames, wherever TCP cut it. Frames that did not arrive in one piece are kept
// until they are whole, at most kMaxPayload; data frames, which may be longer, pass through in
// pieces. Memory grows with what has arrived, not with what a header announces.
//
// Types and flags are not looked at beyond what the limits and the CRC need: an unknown type is a
// frame like others, and its request can be answered. Thread-compatible.
class FrameDecoder {
 public:
  enum class Event : uint8_t {
    kMore,       // all input is consumed
    kFrame,      // a frame other than data: header(), payload()
    kDataPiece,  // a part of a data frame: header(), payload(), which is not empty
    kDataEnd,    // the data frame is over (after the last piece; alone where it was empty)
    kFault,      // fault(); nothing more can be read
  };

  // Consumes from the front of `input`, which is shortened, until there is an event. To be called
  // until it says kMore or kFault, although `input` may be empty before: the end of a data frame is
  // an event of its own.
  Event Next(std::span<const std::byte>& input);

  // The frame of the last event. With kFault, what the header said; not to be believed where its
  // CRC is wrong.
  const FrameHeader& header() const { return header_; }
  // Until the next call of Next(), and no longer than the input lives.
  std::string_view payload() const { return payload_; }
  // With kFrame and kDataEnd: the payload is what was sent. True where the frame bears no CRC.
  bool intact() const { return intact_; }
  FrameFault fault() const { return fault_; }
  // In the middle of a frame: an end of file now would cut it off.
  bool in_frame() const;

 private:
  enum class Stage : uint8_t { kHeader, kPayload, kData };

  // Reads the header once it is whole. False where there is a fault.
  bool ReadHeader(std::string_view bytes);
  // Up to `size` bytes, in one piece: of `input`, or of kept_ where earlier input began them.
  // Nothing, and the input is kept, as long as they are not all there.
  std::optional<std::string_view> Collect(size_t size, std::span<const std::byte>& input);
  Event NextData(std::span<const std::byte>& input);

  Stage stage_ = Stage::kHeader;
  FrameFault fault_ = FrameFault::kNone;
  bool intact_ = true;
  bool kept_used_ = false;  // kept_ is what the last event showed
  FrameHeader header_;
  std::string_view payload_;
  std::string kept_;        // the beginning of a header or of a payload
  uint32_t data_left_ = 0;  // of the data frame
  uint32_t crc_ = 0;        // of the data frame so far
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_FRAME_H_
