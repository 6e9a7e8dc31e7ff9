// What the payloads of frames say (docs/files-protocol.md).
#ifndef QUINTET_NET_FILES_MESSAGES_H_
#define QUINTET_NET_FILES_MESSAGES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quintet::files {

// Where a size or a length is not said.
inline constexpr uint64_t kUnknown = UINT64_MAX;

enum class ErrorCode : uint16_t {
  kProtocol = 1,    // a frame that does not belong where it came; the server closes
  kCrc = 2,         // a header: the server closes; a payload: that request has failed
  kVersion = 3,     // the server closes
  kTooLong = 4,     // a length above the limit; the server closes
  kBadRequest = 5,  // a payload that cannot be read, an unknown type or flag, an id used twice
  kBadName = 6,     // empty, absolute, a component that is empty, "..", too long or hidden, NUL
  kNotFound = 7,
  kForbidden = 8,  // outside of the root, or the system does not allow it
  kReadOnly = 9,
  kAuthentication = 10,  // it is required, or was wrong; the server closes
  kNotAFile = 11,        // a directory, a device, ...
  kNoSpace = 12,         // of the disk
  kQuota = 13,           // a limit of the server's: size of a file, of all
  kBusy = 14,            // too many transfers or requests at once: later, perhaps
  kChanged = 15,         // the file is not the one that was begun with, or became shorter
  kConflict = 16,        // the same upload is being made
  kMismatch = 17,        // size or CRC of an upload are not what was announced
  kCancelled = 18,
  kIo = 19,      // the disk failed
  kEnding = 20,  // the server is ending
  kExists = 21,  // a directory where a file is to be, say
};
// "not found"; "unknown error" for a number that has no name. Lives for ever.
std::string_view ErrorCodeName(ErrorCode code);

enum class EntryKind : uint8_t { kFile = 1, kDirectory = 2 };

struct Entry {
  EntryKind kind = EntryKind::kFile;
  uint64_t size = 0;     // bytes
  int64_t modified = 0;  // nanoseconds since 1970-01-01 UTC
  uint64_t tag = 0;      // another one where the content may be another
  std::string name;      // bytes as the file system has them; at most 65,535
  friend bool operator==(const Entry&, const Entry&) = default;
};

inline constexpr size_t kNonceBytes = 32;
inline constexpr size_t kProofBytes = 32;
using Nonce = std::array<unsigned char, kNonceBytes>;
using Proof = std::array<unsigned char, kProofBytes>;

struct WelcomeMessage {
  bool authentication = false;  // an AUTH has to come first
  bool read_only = false;
  uint32_t max_requests = 0;  // at once on this connection
  Nonce nonce = {};
  friend bool operator==(const WelcomeMessage&, const WelcomeMessage&) = default;
};
struct AuthMessage {
  Nonce nonce = {};
  Proof proof = {};
  friend bool operator==(const AuthMessage&, const AuthMessage&) = default;
};
// LIST, STAT, DELETE have a path alone as their payload.
struct GetMessage {
  uint64_t offset = 0;
  uint64_t length = kUnknown;  // to the end
  uint64_t tag = 0;            // of the file that was begun with; 0: any
  std::string path;
  friend bool operator==(const GetMessage&, const GetMessage&) = default;
};
struct PutMessage {
  uint64_t size = kUnknown;
  uint64_t key = 0;  // the name of the upload among those to the same path; 0: not to be resumed
  std::string path;
  friend bool operator==(const PutMessage&, const PutMessage&) = default;
};
struct RenameMessage {  // each path at most 65,535 bytes
  std::string from;
  std::string to;
  friend bool operator==(const RenameMessage&, const RenameMessage&) = default;
};
// From where an upload goes on, and the CRC of what is there.
struct ReadyMessage {
  uint64_t offset = 0;
  uint32_t crc = 0;
  friend bool operator==(const ReadyMessage&, const ReadyMessage&) = default;
};
// The whole file of an upload.
struct FinishMessage {
  uint64_t size = 0;
  uint32_t crc = 0;
  friend bool operator==(const FinishMessage&, const FinishMessage&) = default;
};
struct ErrorMessage {
  ErrorCode code = ErrorCode::kIo;
  std::string text;  // for people; may be empty
  friend bool operator==(const ErrorMessage&, const ErrorMessage&) = default;
};

std::string Encode(const WelcomeMessage& message);
std::string Encode(const AuthMessage& message);
std::string Encode(const GetMessage& message);
std::string Encode(const PutMessage& message);
std::string Encode(const RenameMessage& message);
std::string Encode(const ReadyMessage& message);
std::string Encode(const FinishMessage& message);
std::string Encode(const ErrorMessage& message);
// One entry behind another.
void AppendEntry(std::string& payload, const Entry& entry);
// What AppendEntry() adds, in bytes.
size_t EncodedBytes(const Entry& entry);
// What END says to AUTH.
std::string EncodeProof(const Proof& proof);

// Nothing where `payload` is not exactly one message: what is parsed, encodes to the same bytes. So
// bits and kinds that version 1 does not know are refused. Numbers of errors and paths are not
// judged (CheckPath() in net/files/path.h).
std::optional<WelcomeMessage> ParseWelcome(std::string_view payload);
std::optional<AuthMessage> ParseAuth(std::string_view payload);
std::optional<GetMessage> ParseGet(std::string_view payload);
std::optional<PutMessage> ParsePut(std::string_view payload);
std::optional<RenameMessage> ParseRename(std::string_view payload);
std::optional<ReadyMessage> ParseReady(std::string_view payload);
std::optional<FinishMessage> ParseFinish(std::string_view payload);
std::optional<ErrorMessage> ParseError(std::string_view payload);
// Of ENTRIES; none where it is empty.
std::optional<std::vector<Entry>> ParseEntries(std::string_view payload);
// Of INFO: exactly one.
std::optional<Entry> ParseEntry(std::string_view payload);
std::optional<Proof> ParseProof(std::string_view payload);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_MESSAGES_H_
