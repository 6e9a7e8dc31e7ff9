#include "net/files/messages.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace quintet::files {
namespace {

using namespace std::string_literals;

// 32 bytes that rise from `first`.
std::array<unsigned char, 32> Rising(unsigned char first) {
  std::array<unsigned char, 32> bytes;
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}
std::string Text(const std::array<unsigned char, 32>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

// One message in its bytes, and what its parser makes of bytes: the same again, encoded, or
// nothing.
struct Case {
  std::string name;
  std::string bytes;                 // as the protocol has them
  std::optional<std::string> coded;  // as Encode() has them
  std::function<std::optional<std::string>(std::string_view)> parse_and_encode;
  size_t fixed_bytes;  // what is there at least
  bool open;           // ends with text of any length
};

template <typename Message, typename Parse>
Case MakeCase(std::string name, const Message& message, std::string bytes, Parse parse,
              size_t open_bytes = 0) {
  const auto parse_and_encode = [parse](std::string_view payload) -> std::optional<std::string> {
    const std::optional<Message> parsed = parse(payload);
    if (!parsed.has_value()) return std::nullopt;
    return Encode(*parsed);
  };
  EXPECT_EQ(parse(bytes), message) << name;
  const size_t fixed_bytes = bytes.size() - open_bytes;
  return {std::move(name),  std::move(bytes), Encode(message),
          parse_and_encode, fixed_bytes,      open_bytes > 0};
}

std::vector<Case> AllMessages() {
  return {
      MakeCase("welcome, all bits",
               WelcomeMessage{.authentication = true,
                              .read_only = true,
                              .max_requests = 0x01020304,
                              .nonce = Rising(7)},
               "\x03\x01\x02\x03\x04"s + Text(Rising(7)), ParseWelcome),
      MakeCase("welcome, authentication", WelcomeMessage{.authentication = true},
               "\x01"s + std::string(36, '\0'), ParseWelcome),
      MakeCase("welcome, read only", WelcomeMessage{.read_only = true},
               "\x02"s + std::string(36, '\0'), ParseWelcome),
      MakeCase("auth", AuthMessage{.nonce = Rising(1), .proof = Rising(100)},
               Text(Rising(1)) + Text(Rising(100)), ParseAuth),
      MakeCase("get",
               GetMessage{.offset = 0x0102030405060708,
                          .length = 0xf1f2f3f4f5f6f7f8,
                          .tag = 0x1112131415161718,
                          .path = "a/b"},
               "\x01\x02\x03\x04\x05\x06\x07\x08\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8"
               "\x11\x12\x13\x14\x15\x16\x17\x18"
               "a/b"s,
               ParseGet, 3),
      MakeCase("put",
               PutMessage{.size = 0x0102030405060708, .key = 0xf1f2f3f4f5f6f7f8, .path = "p"},
               "\x01\x02\x03\x04\x05\x06\x07\x08\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8"
               "p"s,
               ParsePut, 1),
      MakeCase("rename", RenameMessage{.from = "from", .to = "target"},
               "\0\x04"
               "fromtarget"s,
               ParseRename, 6),
      MakeCase("rename, long", RenameMessage{.from = std::string(0x0102, 'f'), .to = "t"},
               "\x01\x02"s + std::string(0x0102, 'f') + "t", ParseRename, 1),
      MakeCase("ready", ReadyMessage{.offset = 0x0102030405060708, .crc = 0xf1f2f3f4},
               "\x01\x02\x03\x04\x05\x06\x07\x08\xf1\xf2\xf3\xf4"s, ParseReady),
      MakeCase("finish", FinishMessage{.size = 0x0102030405060708, .crc = 0xf1f2f3f4},
               "\x01\x02\x03\x04\x05\x06\x07\x08\xf1\xf2\xf3\xf4"s, ParseFinish),
      MakeCase("error", ErrorMessage{.code = ErrorCode::kExists, .text = "why"}, "\0\x15why"s,
               ParseError, 3),
      MakeCase("error, unknown", ErrorMessage{.code = static_cast<ErrorCode>(0x1234), .text = "?"},
               "\x12\x34?"s, ParseError, 1),
  };
}

TEST(MessagesTest, HaveTheBytesOfTheProtocol) {
  for (const Case& message : AllMessages()) {
    EXPECT_EQ(message.coded, message.bytes) << message.name;
    EXPECT_EQ(message.parse_and_encode(message.bytes), message.bytes) << message.name;
  }
}

TEST(MessagesTest, WhatIsTooShortIsRefused) {
  for (const Case& message : AllMessages()) {
    for (size_t size = 0; size < message.fixed_bytes; ++size) {
      EXPECT_EQ(message.parse_and_encode(std::string_view(message.bytes).substr(0, size)),
                std::nullopt)
          << message.name << ", " << size << " bytes";
    }
    // Without its text, which may be empty, it is whole.
    const std::string fixed = message.bytes.substr(0, message.fixed_bytes);
    EXPECT_EQ(message.parse_and_encode(fixed), fixed) << message.name;
  }
}

TEST(MessagesTest, OneByteMoreIsTextOrRefused) {
  for (const Case& message : AllMessages()) {
    const std::string longer = message.bytes + '\0';
    EXPECT_EQ(message.parse_and_encode(longer),
              message.open ? std::optional<std::string>(longer) : std::nullopt)
        << message.name;
  }
}

TEST(MessagesTest, BitsThatWelcomeDoesNotDefineAreRefused) {
  for (int bits = 0; bits < 256; ++bits) {
    const std::string payload = static_cast<char>(bits) + std::string(36, '\0');
    EXPECT_EQ(ParseWelcome(payload).has_value(), bits < 4) << bits;
  }
}

TEST(MessagesTest, AProofIsExactlyItsBytes) {
  const std::string bytes = Text(Rising(5));
  EXPECT_EQ(EncodeProof(Rising(5)), bytes);
  EXPECT_EQ(ParseProof(bytes), Rising(5));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ParseProof(bytes.substr(0, size)), std::nullopt) << size;
  }
  EXPECT_EQ(ParseProof(bytes + 'x'), std::nullopt);
}

// ---- Entries ----

const Entry kFirst = {.kind = EntryKind::kFile,
                      .size = 0x0102030405060708,
                      .modified = -2,
                      .tag = 0xf1f2f3f4f5f6f7f8,
                      .name = "a name"};
const Entry kSecond = {.kind = EntryKind::kDirectory, .size = kUnknown, .name = ""};
const Entry kThird = {.name = std::string("\xff\0/", 3)};

TEST(EntriesTest, HaveTheBytesOfTheProtocol) {
  std::string payload;
  AppendEntry(payload, kFirst);
  EXPECT_EQ(payload,
            "\x01\x01\x02\x03\x04\x05\x06\x07\x08\xff\xff\xff\xff\xff\xff\xff\xfe"
            "\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\0\x06"
            "a name"s);
  EXPECT_EQ(EncodedBytes(kFirst), payload.size());
  EXPECT_EQ(ParseEntry(payload), kFirst);
}

TEST(EntriesTest, StandOneBehindAnother) {
  std::string payload;
  std::set<size_t> ends = {0};
  for (const Entry& entry : {kFirst, kSecond, kThird}) {
    AppendEntry(payload, entry);
    ends.insert(payload.size());
  }
  EXPECT_EQ(ParseEntries(payload), (std::vector<Entry>{kFirst, kSecond, kThird}));
  for (size_t size = 0; size <= payload.size(); ++size) {
    const auto entries = ParseEntries(std::string_view(payload).substr(0, size));
    EXPECT_EQ(entries.has_value(), ends.contains(size)) << size;
  }
  EXPECT_EQ(ParseEntries(payload + '\x01'), std::nullopt);
}

TEST(EntriesTest, NoneAreEntriesButNoEntry) {
  EXPECT_EQ(ParseEntries(""), std::vector<Entry>());
  EXPECT_EQ(ParseEntry(""), std::nullopt);
}

TEST(EntriesTest, AnEntryIsExactlyOne) {
  std::string payload;
  AppendEntry(payload, kFirst);
  for (size_t size = 0; size < payload.size(); ++size) {
    EXPECT_EQ(ParseEntry(std::string_view(payload).substr(0, size)), std::nullopt) << size;
  }
  EXPECT_EQ(ParseEntry(payload + 'x'), std::nullopt);
  AppendEntry(payload, kSecond);
  EXPECT_EQ(ParseEntry(payload), std::nullopt);
}

TEST(EntriesTest, OtherKindsAreRefused) {
  std::string payload;
  AppendEntry(payload, kFirst);
  for (int kind = 0; kind < 256; ++kind) {
    payload[0] = static_cast<char>(kind);
    EXPECT_EQ(ParseEntry(payload).has_value(), kind == 1 || kind == 2) << kind;
    EXPECT_EQ(ParseEntries(payload).has_value(), kind == 1 || kind == 2) << kind;
  }
}

TEST(EntriesTest, TheLongestNameIsCounted) {
  const Entry entry = {.name = std::string(UINT16_MAX, 'n')};
  std::string payload;
  AppendEntry(payload, entry);
  EXPECT_EQ(ParseEntry(payload), entry);
}

// ---- Errors ----

TEST(ErrorCodeTest, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 1; code <= 21; ++code) names.insert(ErrorCodeName(static_cast<ErrorCode>(code)));
  EXPECT_EQ(names.size(), 21U);
  EXPECT_FALSE(names.contains("unknown error"));
  EXPECT_EQ(ErrorCodeName(ErrorCode::kNotFound), "not found");
  for (const int code : {0, 22, 0xffff}) {
    EXPECT_EQ(ErrorCodeName(static_cast<ErrorCode>(code)), "unknown error") << code;
  }
}

}  // namespace
}  // namespace quintet::files
