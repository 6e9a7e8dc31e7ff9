#include "net/files/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace quintet::files {
namespace {

using Event = FrameDecoder::Event;
using ::testing::ElementsAre;

// What came out of a decoder: a frame, its pieces put together, or the fault at the end.
struct Seen {
  FrameHeader header;
  std::string payload;
  bool intact = true;
  FrameFault fault = FrameFault::kNone;
  friend bool operator==(const Seen&, const Seen&) = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << "type " << static_cast<int>(seen.header.type) << " flags " << seen.header.flags
       << " request " << seen.header.request << " length " << seen.header.length << " payload of "
       << seen.payload.size() << (seen.intact ? "" : ", damaged") << " fault "
       << static_cast<int>(seen.fault);
}

class Reading {
 public:
  // Each piece in memory of its own, which is gone afterwards.
  void Feed(std::string_view piece) {
    const auto copy = std::make_unique<std::byte[]>(piece.size());
    if (!piece.empty()) std::memcpy(copy.get(), piece.data(), piece.size());
    std::span<const std::byte> input(copy.get(), piece.size());
    while (true) {
      switch (decoder_.Next(input)) {
        case Event::kMore:
          EXPECT_TRUE(input.empty());
          return;
        case Event::kFrame:
          EXPECT_NE(decoder_.header().type, FrameType::kData);
          EXPECT_EQ(decoder_.payload().size(), decoder_.header().length);
          EXPECT_FALSE(decoder_.in_frame());
          seen_.push_back({decoder_.header(), std::string(decoder_.payload()), decoder_.intact()});
          break;
        case Event::kDataPiece:
          EXPECT_EQ(decoder_.header().type, FrameType::kData);
          EXPECT_FALSE(decoder_.payload().empty());
          EXPECT_TRUE(decoder_.in_frame());
          data_ += decoder_.payload();
          break;
        case Event::kDataEnd:
          EXPECT_EQ(decoder_.header().type, FrameType::kData);
          EXPECT_TRUE(decoder_.payload().empty());
          EXPECT_EQ(data_.size(), decoder_.header().length);
          EXPECT_FALSE(decoder_.in_frame());
          seen_.push_back({decoder_.header(), data_, decoder_.intact()});
          data_.clear();
          break;
        case Event::kFault:
          EXPECT_FALSE(decoder_.in_frame());
          seen_.push_back({.header = {}, .payload = {}, .fault = decoder_.fault()});
          return;
      }
    }
  }

  bool in_frame() const { return decoder_.in_frame(); }
  const std::vector<Seen>& seen() const { return seen_; }

 private:
  FrameDecoder decoder_;
  std::vector<Seen> seen_;
  std::string data_;
};

std::vector<Seen> Read(std::string_view stream) {
  Reading reading;
  reading.Feed(stream);
  return reading.seen();
}

Seen Frame(FrameType type, uint16_t flags, uint32_t request, std::string payload) {
  const bool bears_crc = type != FrameType::kData || (flags & kNoPayloadCrc) == 0;
  const FrameHeader header = {.type = type,
                              .flags = flags,
                              .request = request,
                              .length = static_cast<uint32_t>(payload.size()),
                              .payload_crc = bears_crc ? Crc32c(payload) : 0};
  return {.header = header, .payload = std::move(payload)};
}

Seen Fault(FrameFault fault) { return {.header = {}, .payload = {}, .fault = fault}; }

std::string Encoded(const Seen& frame) {
  return EncodeFrame(frame.header.type, frame.header.flags, frame.header.request, frame.payload);
}

std::string EncodedHeader(const FrameHeader& header) {
  const std::array<char, kHeaderBytes> bytes = EncodeHeader(header);
  return std::string(bytes.data(), bytes.size());
}

// A header of another version, its CRC right.
std::string HeaderOfVersion(uint8_t version) {
  std::string bytes = EncodedHeader({.type = FrameType::kQuit, .request = 1});
  bytes[0] = static_cast<char>(version);
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, 16));
  for (int i = 0; i < 4; ++i) bytes[16 + i] = static_cast<char>(crc >> (24 - 8 * i));
  return bytes;
}

std::string WithFlippedBit(std::string bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

// All types of the protocol, empty payloads among them, and a type that is unknown.
std::vector<Seen> AllTypes() {
  return {
      Frame(FrameType::kWelcome, 0, 0, std::string(37, 'w')),
      Frame(FrameType::kAuth, 0, 0, std::string(64, 'a')),
      Frame(FrameType::kList, kDirectories, 1, ""),
      Frame(FrameType::kEntries, 0, 1, "entries"),
      Frame(FrameType::kStat, 0, 2, "a/b"),
      Frame(FrameType::kInfo, 0, 2, "info"),
      Frame(FrameType::kGet, kVerify, 3, "get"),
      Frame(FrameType::kData, 0, 3, "with a CRC"),
      Frame(FrameType::kData, kNoPayloadCrc, 3, "without"),
      Frame(FrameType::kData, 0, 3, ""),
      Frame(FrameType::kData, kNoPayloadCrc, 3, ""),
      Frame(FrameType::kEnd, 0, 3, ""),
      Frame(FrameType::kPut, kResume | kMakeDirectories, 4, "put"),
      Frame(FrameType::kReady, 0, 4, "ready"),
      Frame(FrameType::kFinish, 0, 4, "finish"),
      Frame(FrameType::kDelete, 0, 5, "x"),
      Frame(FrameType::kRename, 0, 6, "rename"),
      Frame(FrameType::kCancel, 0, 7, ""),
      Frame(FrameType::kError, 0, UINT32_MAX, "error"),
      Frame(static_cast<FrameType>(0x7f), 0xffff, 8, "?"),
      Frame(FrameType::kQuit, 0, 9, ""),
  };
}

std::string Joined(const std::vector<Seen>& frames) {
  std::string stream;
  for (const Seen& frame : frames) stream += Encoded(frame);
  return stream;
}

// Computed with another implementation of the CRC.
TEST(FrameTest, HasTheBytesOfTheProtocol) {
  using namespace std::string_literals;
  EXPECT_EQ(EncodeFrame(FrameType::kStat, 0, 7, "a/b"),
            "\x01\x03\0\0\0\0\0\x07\0\0\0\x03\xfb\x0b\x40\xa3\x58\xee\x49\xa8"
            "a/b"s);
  EXPECT_EQ(EncodeFrame(FrameType::kData, kNoPayloadCrc, 0x01020304, "hi"),
            "\x01\x40\0\x01\x01\x02\x03\x04\0\0\0\x02\0\0\0\0\xfb\xdc\xeb\x6e"
            "hi"s);
}

TEST(FrameTest, ATypeBelongsToOneSideOrToBoth) {
  const std::set<int> client = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x40};
  const std::set<int> server = {0x40, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86};
  for (int number = 0; number < 256; ++number) {
    const auto type = static_cast<FrameType>(number);
    EXPECT_EQ(SentBy(type, Sender::kClient), client.contains(number)) << number;
    EXPECT_EQ(SentBy(type, Sender::kServer), server.contains(number)) << number;
    EXPECT_EQ(KnownType(type), client.contains(number) || server.contains(number)) << number;
    EXPECT_EQ(MaxPayload(type), number == 0x40 ? 1048576U : 65536U) << number;
  }
}

TEST(FrameTest, FlagsBelongToATypeAndASide) {
  for (int number = 0; number < 256; ++number) {
    const auto type = static_cast<FrameType>(number);
    const int client = number == 0x02 ? 0x04 : number == 0x04 ? 0x02 : number == 0x05 ? 0x18 : 0;
    EXPECT_EQ(DefinedFlags(type, Sender::kClient), client) << number;
    EXPECT_EQ(DefinedFlags(type, Sender::kServer), number == 0x40 ? 0x01 : 0) << number;
  }
}

TEST(FrameDecoderTest, GluedFramesComeOneByOne) { EXPECT_EQ(Read(Joined(AllTypes())), AllTypes()); }

TEST(FrameDecoderTest, EveryCutGivesTheSameFrames) {
  const std::vector<Seen> frames = AllTypes();
  const std::string stream = Joined(frames);
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    Reading reading;
    reading.Feed(std::string_view(stream).substr(0, cut));
    reading.Feed(std::string_view(stream).substr(cut));
    ASSERT_EQ(reading.seen(), frames) << "cut at " << cut;
  }
}

TEST(FrameDecoderTest, EveryPairOfCutsGivesTheSameFrames) {
  // As long as two frames, whichever they are: more would not meet.
  const std::vector<Seen> all = AllTypes();
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    const std::vector<Seen> frames = {all[i], all[i + 1]};
    const std::string stream = Joined(frames);
    const std::string_view view = stream;
    for (size_t first = 0; first <= stream.size(); ++first) {
      for (size_t second = first; second <= stream.size(); ++second) {
        Reading reading;
        reading.Feed(view.substr(0, first));
        reading.Feed(view.substr(first, second - first));
        reading.Feed(view.substr(second));
        ASSERT_EQ(reading.seen(), frames) << "frame " << i << ", cuts " << first << ", " << second;
      }
    }
  }
}

TEST(FrameDecoderTest, PiecesOfAnySizeGiveTheSameFrames) {
  const std::vector<Seen> frames = AllTypes();
  const std::string stream = Joined(frames);
  for (size_t size = 1; size <= 64; ++size) {
    Reading reading;
    for (size_t at = 0; at < stream.size(); at += size) {
      reading.Feed(std::string_view(stream).substr(at, size));
      reading.Feed("");  // which changes nothing
    }
    ASSERT_EQ(reading.seen(), frames) << size;
  }
}

TEST(FrameDecoderTest, KnowsWhetherAnEndWouldCutAFrame) {
  std::string stream;
  std::set<size_t> boundaries = {0};
  for (const Seen& frame : AllTypes()) {
    stream += Encoded(frame);
    boundaries.insert(stream.size());
  }
  for (size_t size = 0; size <= stream.size(); ++size) {
    Reading whole;
    whole.Feed(std::string_view(stream).substr(0, size));
    EXPECT_EQ(whole.in_frame(), !boundaries.contains(size)) << size;
  }
  Reading one_by_one;
  for (size_t size = 1; size <= stream.size(); ++size) {
    one_by_one.Feed(std::string_view(stream).substr(size - 1, 1));
    EXPECT_EQ(one_by_one.in_frame(), !boundaries.contains(size)) << size;
  }
}

TEST(FrameDecoderTest, AFrameInOnePieceIsNotCopied) {
  const std::string stream = Joined({Frame(FrameType::kStat, 0, 1, "name")});
  FrameDecoder decoder;
  std::span<const std::byte> input = std::as_bytes(std::span(stream));
  ASSERT_EQ(decoder.Next(input), Event::kFrame);
  EXPECT_EQ(static_cast<const void*>(decoder.payload().data()), stream.data() + kHeaderBytes);
}

TEST(FrameDecoderTest, DataPassesThroughAsItComes) {
  const std::string stream = Joined({Frame(FrameType::kData, 0, 1, "abcdef")});
  const auto bytes = std::as_bytes(std::span(stream));
  FrameDecoder decoder;
  std::span<const std::byte> input = bytes.first(kHeaderBytes);
  EXPECT_EQ(decoder.Next(input), Event::kMore);
  input = bytes.subspan(kHeaderBytes, 2);
  EXPECT_EQ(decoder.Next(input), Event::kDataPiece);
  EXPECT_EQ(decoder.payload(), "ab");
  EXPECT_EQ(decoder.Next(input), Event::kMore);
  input = bytes.subspan(kHeaderBytes + 2);
  EXPECT_EQ(decoder.Next(input), Event::kDataPiece);
  EXPECT_EQ(decoder.payload(), "cdef");
  EXPECT_TRUE(decoder.in_frame());
  EXPECT_TRUE(input.empty());
  EXPECT_EQ(decoder.Next(input), Event::kDataEnd);
  EXPECT_FALSE(decoder.in_frame());
  EXPECT_EQ(decoder.Next(input), Event::kMore);
}

// ---- Lengths ----

TEST(FrameDecoderTest, LengthsUpToTheLimitsAreRead) {
  const std::vector<Seen> frames = {
      Frame(FrameType::kData, 0, 1, std::string(kMaxDataPayload, 'd')),
      Frame(FrameType::kEntries, 0, 1, std::string(kMaxPayload, 'e')),
      Frame(static_cast<FrameType>(0xff), 0, 1, std::string(kMaxPayload, 'u')),
      Frame(FrameType::kEnd, 0, 1, ""),
  };
  const std::string stream = Joined(frames);
  EXPECT_EQ(Read(stream), frames);
  Reading reading;
  for (size_t at = 0; at < stream.size(); at += 1021) {
    reading.Feed(std::string_view(stream).substr(at, 1021));
  }
  EXPECT_EQ(reading.seen(), frames);
}

TEST(FrameDecoderTest, LengthsAboveTheLimitsAreRefusedWithTheHeader) {
  const auto header = [](FrameType type, uint32_t length) {
    return EncodedHeader({.type = type, .request = 1, .length = length});
  };
  for (const uint32_t above : {kMaxDataPayload + 1, UINT32_MAX}) {
    EXPECT_THAT(Read(header(FrameType::kData, above)), ElementsAre(Fault(FrameFault::kLength)));
  }
  for (const uint32_t above : {kMaxPayload + 1, kMaxDataPayload, UINT32_MAX}) {
    for (const FrameType type :
         {FrameType::kGet, FrameType::kEntries, static_cast<FrameType>(0x41)}) {
      EXPECT_THAT(Read(header(type, above)), ElementsAre(Fault(FrameFault::kLength)));
    }
  }
}

// ---- Damage ----

TEST(FrameDecoderTest, AnyBitThatFlipsInAHeaderIsFound) {
  for (const Seen& frame : AllTypes()) {
    const std::string bytes = Encoded(frame);
    for (size_t bit = 0; bit < 8 * kHeaderBytes; ++bit) {
      EXPECT_THAT(Read(WithFlippedBit(bytes, bit)), ElementsAre(Fault(FrameFault::kHeaderCrc)))
          << bit;
    }
  }
}

TEST(FrameDecoderTest, AHeaderWhoseCrcIsWrongIsNotBelieved) {
  // Neither its length nor its version.
  std::string bytes = EncodedHeader({.type = FrameType::kData, .length = UINT32_MAX});
  EXPECT_THAT(Read(WithFlippedBit(bytes, 8 * 19)), ElementsAre(Fault(FrameFault::kHeaderCrc)));
  bytes = HeaderOfVersion(2);
  EXPECT_THAT(Read(WithFlippedBit(bytes, 8 * 19)), ElementsAre(Fault(FrameFault::kHeaderCrc)));
}

TEST(FrameDecoderTest, OtherVersionsAreRefused) {
  for (int version = 0; version < 256; ++version) {
    if (version == kProtocolVersion) continue;
    EXPECT_THAT(Read(HeaderOfVersion(static_cast<uint8_t>(version))),
                ElementsAre(Fault(FrameFault::kVersion)));
  }
}

TEST(FrameDecoderTest, NothingIsReadBehindAFault) {
  const Seen good = Frame(FrameType::kStat, 0, 1, "a");
  const std::string stream = Encoded(good) + HeaderOfVersion(9) + Encoded(good);
  FrameDecoder decoder;
  std::span<const std::byte> input = std::as_bytes(std::span(stream));
  EXPECT_EQ(decoder.Next(input), Event::kFrame);
  EXPECT_EQ(decoder.fault(), FrameFault::kNone);
  EXPECT_EQ(decoder.Next(input), Event::kFault);
  EXPECT_EQ(decoder.fault(), FrameFault::kVersion);
  const size_t left = input.size();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(decoder.Next(input), Event::kFault);
    EXPECT_EQ(input.size(), left);
    EXPECT_TRUE(decoder.payload().empty());
  }
}

// The frames behind it are found, and are whole.
TEST(FrameDecoderTest, DamageOfAPayloadIsOfThatFrameAlone) {
  const Seen after_control = Frame(FrameType::kStat, 0, 2, "after");
  const Seen after_data = Frame(FrameType::kData, 0, 2, "after");
  for (const Seen& frame :
       {Frame(FrameType::kStat, 0, 1, "control"), Frame(FrameType::kData, 0, 1, "data"),
        // The flag means nothing outside of data.
        Frame(FrameType::kStat, kNoPayloadCrc, 1, "control")}) {
    const std::string bytes = Encoded(frame);
    for (size_t bit = 8 * kHeaderBytes; bit < 8 * bytes.size(); ++bit) {
      Seen damaged = frame;
      damaged.payload = WithFlippedBit(bytes, bit).substr(kHeaderBytes);
      damaged.intact = false;
      const std::string stream =
          WithFlippedBit(bytes, bit) + Encoded(after_control) + Encoded(after_data);
      EXPECT_THAT(Read(stream), ElementsAre(damaged, after_control, after_data)) << bit;
    }
  }
}

TEST(FrameDecoderTest, AnEmptyPayloadHasACrcToo) {
  for (const FrameType type : {FrameType::kData, FrameType::kEnd}) {
    const FrameHeader header = {.type = type, .request = 1, .payload_crc = 1};
    EXPECT_THAT(Read(EncodedHeader(header)),
                ElementsAre(Seen{.header = header, .payload = {}, .intact = false}));
  }
}

TEST(FrameDecoderTest, DataWithoutCrcIsTakenAsItIs) {
  const FrameHeader header = {.type = FrameType::kData,
                              .flags = kNoPayloadCrc,
                              .request = 1,
                              .length = 3,
                              .payload_crc = 0x12345678};
  EXPECT_THAT(Read(EncodedHeader(header) + "abc"),
              ElementsAre(Seen{.header = header, .payload = "abc"}));
}

}  // namespace
}  // namespace quintet::files
