#include "net/files/messages.h"

#include <cassert>

#include "net/files/wire.h"

namespace quintet::files {
namespace {

// Bits of WELCOME.
constexpr uint8_t kWelcomeAuthentication = 1 << 0;
constexpr uint8_t kWelcomeReadOnly = 1 << 1;

// Of an entry, before its name.
constexpr size_t kEntryHeadBytes = 1 + 8 + 8 + 8 + 2;

void AppendBytes(const std::array<unsigned char, 32>& bytes, std::string& to) {
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Text with its length before it.
void AppendCounted(std::string_view text, std::string& to) {
  assert(text.size() <= UINT16_MAX);
  AppendNumber(static_cast<uint16_t>(text.size()), to);
  to.append(text);
}

std::string_view TakeCounted(WireReader& reader) {
  const auto size = reader.TakeNumber<uint16_t>();
  return reader.Take(size);
}

std::optional<Entry> TakeEntry(WireReader& reader) {
  Entry entry;
  const auto kind = reader.TakeNumber<uint8_t>();
  entry.kind = static_cast<EntryKind>(kind);
  entry.size = reader.TakeNumber<uint64_t>();
  entry.modified = static_cast<int64_t>(reader.TakeNumber<uint64_t>());
  entry.tag = reader.TakeNumber<uint64_t>();
  entry.name = TakeCounted(reader);
  if (!reader.ok()) return std::nullopt;
  if (entry.kind != EntryKind::kFile && entry.kind != EntryKind::kDirectory) return std::nullopt;
  return entry;
}

// `message`, unless the payload was too short for it or goes on behind it.
template <typename Message>
std::optional<Message> Whole(const WireReader& reader, Message message) {
  if (!reader.Complete()) return std::nullopt;
  return message;
}

}  // namespace

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kProtocol:
      return "protocol error";
    case ErrorCode::kCrc:
      return "wrong CRC";
    case ErrorCode::kVersion:
      return "unknown version";
    case ErrorCode::kTooLong:
      return "too long";
    case ErrorCode::kBadRequest:
      return "bad request";
    case ErrorCode::kBadName:
      return "bad name";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kForbidden:
      return "forbidden";
    case ErrorCode::kReadOnly:
      return "read only";
    case ErrorCode::kAuthentication:
      return "not authenticated";
    case ErrorCode::kNotAFile:
      return "not a file";
    case ErrorCode::kNoSpace:
      return "no space";
    case ErrorCode::kQuota:
      return "over quota";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kChanged:
      return "changed";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kMismatch:
      return "mismatch";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kIo:
      return "I/O error";
    case ErrorCode::kEnding:
      return "ending";
    case ErrorCode::kExists:
      return "exists";
  }
  return "unknown error";
}

std::string Encode(const WelcomeMessage& message) {
  std::string payload;
  AppendNumber(static_cast<uint8_t>((message.authentication ? kWelcomeAuthentication : 0) |
                                    (message.read_only ? kWelcomeReadOnly : 0)),
               payload);
  AppendNumber(message.max_requests, payload);
  AppendBytes(message.nonce, payload);
  return payload;
}

std::string Encode(const AuthMessage& message) {
  std::string payload;
  AppendBytes(message.nonce, payload);
  AppendBytes(message.proof, payload);
  return payload;
}

std::string Encode(const GetMessage& message) {
  std::string payload;
  AppendNumber(message.offset, payload);
  AppendNumber(message.length, payload);
  AppendNumber(message.tag, payload);
  payload += message.path;
  return payload;
}

std::string Encode(const PutMessage& message) {
  std::string payload;
  AppendNumber(message.size, payload);
  AppendNumber(message.key, payload);
  payload += message.path;
  return payload;
}

std::string Encode(const RenameMessage& message) {
  std::string payload;
  AppendCounted(message.from, payload);
  payload += message.to;
  return payload;
}

std::string Encode(const ReadyMessage& message) {
  std::string payload;
  AppendNumber(message.offset, payload);
  AppendNumber(message.crc, payload);
  return payload;
}

std::string Encode(const FinishMessage& message) {
  std::string payload;
  AppendNumber(message.size, payload);
  AppendNumber(message.crc, payload);
  return payload;
}

std::string Encode(const ErrorMessage& message) {
  std::string payload;
  AppendNumber(static_cast<uint16_t>(message.code), payload);
  payload += message.text;
  return payload;
}

void AppendEntry(std::string& payload, const Entry& entry) {
  AppendNumber(static_cast<uint8_t>(entry.kind), payload);
  AppendNumber(entry.size, payload);
  AppendNumber(static_cast<uint64_t>(entry.modified), payload);
  AppendNumber(entry.tag, payload);
  AppendCounted(entry.name, payload);
}

size_t EncodedBytes(const Entry& entry) { return kEntryHeadBytes + entry.name.size(); }

std::string EncodeProof(const Proof& proof) {
  std::string payload;
  AppendBytes(proof, payload);
  return payload;
}

std::optional<WelcomeMessage> ParseWelcome(std::string_view payload) {
  WireReader reader(payload);
  WelcomeMessage message;
  const auto bits = reader.TakeNumber<uint8_t>();
  message.authentication = (bits & kWelcomeAuthentication) != 0;
  message.read_only = (bits & kWelcomeReadOnly) != 0;
  message.max_requests = reader.TakeNumber<uint32_t>();
  message.nonce = reader.TakeArray<kNonceBytes>();
  if ((bits & ~(kWelcomeAuthentication | kWelcomeReadOnly)) != 0) return std::nullopt;
  return Whole(reader, message);
}

std::optional<AuthMessage> ParseAuth(std::string_view payload) {
  WireReader reader(payload);
  AuthMessage message;
  message.nonce = reader.TakeArray<kNonceBytes>();
  message.proof = reader.TakeArray<kProofBytes>();
  return Whole(reader, message);
}

std::optional<GetMessage> ParseGet(std::string_view payload) {
  WireReader reader(payload);
  GetMessage message;
  message.offset = reader.TakeNumber<uint64_t>();
  message.length = reader.TakeNumber<uint64_t>();
  message.tag = reader.TakeNumber<uint64_t>();
  message.path = reader.TakeRest();
  return Whole(reader, std::move(message));
}

std::optional<PutMessage> ParsePut(std::string_view payload) {
  WireReader reader(payload);
  PutMessage message;
  message.size = reader.TakeNumber<uint64_t>();
  message.key = reader.TakeNumber<uint64_t>();
  message.path = reader.TakeRest();
  return Whole(reader, std::move(message));
}

std::optional<RenameMessage> ParseRename(std::string_view payload) {
  WireReader reader(payload);
  RenameMessage message;
  message.from = TakeCounted(reader);
  message.to = reader.TakeRest();
  return Whole(reader, std::move(message));
}

std::optional<ReadyMessage> ParseReady(std::string_view payload) {
  WireReader reader(payload);
  ReadyMessage message;
  message.offset = reader.TakeNumber<uint64_t>();
  message.crc = reader.TakeNumber<uint32_t>();
  return Whole(reader, message);
}

std::optional<FinishMessage> ParseFinish(std::string_view payload) {
  WireReader reader(payload);
  FinishMessage message;
  message.size = reader.TakeNumber<uint64_t>();
  message.crc = reader.TakeNumber<uint32_t>();
  return Whole(reader, message);
}

std::optional<ErrorMessage> ParseError(std::string_view payload) {
  WireReader reader(payload);
  ErrorMessage message;
  message.code = static_cast<ErrorCode>(reader.TakeNumber<uint16_t>());
  message.text = reader.TakeRest();
  return Whole(reader, std::move(message));
}

std::optional<std::vector<Entry>> ParseEntries(std::string_view payload) {
  WireReader reader(payload);
  std::vector<Entry> entries;
  while (!reader.Complete()) {
    std::optional<Entry> entry = TakeEntry(reader);
    if (!entry.has_value()) return std::nullopt;
    entries.push_back(*std::move(entry));
  }
  return entries;
}

std::optional<Entry> ParseEntry(std::string_view payload) {
  WireReader reader(payload);
  std::optional<Entry> entry = TakeEntry(reader);
  if (!reader.Complete()) return std::nullopt;
  return entry;
}

std::optional<Proof> ParseProof(std::string_view payload) {
  WireReader reader(payload);
  return Whole(reader, reader.TakeArray<kProofBytes>());
}

}  // namespace quintet::files
