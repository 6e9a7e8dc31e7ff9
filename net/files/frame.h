// Frames of the files protocol (docs/files-protocol.md): a header of fixed size, then a payload.
#ifndef QUINTET_NET_FILES_FRAME_H_
#define QUINTET_NET_FILES_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

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

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, going on from that of what came before.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t before = 0);
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

std::array<char, kHeaderBytes> EncodeHeader(const FrameHeader& header);
// A whole frame, its CRC included.
std::string EncodeFrame(FrameType type, uint16_t flags, uint32_t request, std::string_view payload);

// Why a stream of frames cannot be read on.
enum class FrameFault : uint8_t {
  kNone,
  kHeaderCrc,  // what follows cannot be found
  kVersion,    // unknown
  kLength,     // above the limit of the type
};

// Cuts a stream into frames, wherever TCP cut it. Whole frames are kept until they are there, at
// most kMaxPayload; data frames, which may be longer, pass through in pieces.
class FrameDecoder {
 public:
  enum class Event : uint8_t {
    kMore,       // all input is consumed
    kFrame,      // a frame other than data: header(), payload()
    kDataPiece,  // a part of a data frame: header(), payload(), which is not empty
    kDataEnd,    // the data frame is over (after the last piece; alone where it was empty)
    kFault,      // fault(); nothing more can be read
  };

  // Consumes from the front of `input`, which is shortened, until there is an event.
  Event Next(std::span<const std::byte>& input);

  const FrameHeader& header() const { return header_; }
  // Until the next call of Next(), and no longer than the input lives.
  std::string_view payload() const { return payload_; }
  // With kFrame and kDataEnd: the payload is what was sent. True where the frame bears no CRC.
  bool intact() const { return intact_; }
  FrameFault fault() const { return fault_; }
  // In the middle of a frame: an end of file now would cut it off.
  bool in_frame() const;

 private:
  FrameHeader header_;
  std::string_view payload_;
  std::string kept_;  // of a header or a frame that is not whole yet
  uint32_t data_left_ = 0;
  uint32_t crc_ = 0;
  bool intact_ = true;
  FrameFault fault_ = FrameFault::kNone;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_FRAME_H_
