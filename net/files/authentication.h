// Proofs that both ends of a connection know the same secret (docs/files-protocol.md, "A
// connection"). HMAC-SHA-256 (RFC 2104) of nonces of both sides: what was overheard of one
// connection proves nothing on another. The proofs are of the connection's beginning; what follows
// is neither secret nor signed.
#ifndef QUINTET_NET_FILES_AUTHENTICATION_H_
#define QUINTET_NET_FILES_AUTHENTICATION_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "net/files/messages.h"

namespace quintet::files {

// Shorter secrets can be found by trying: a proof that was overheard tells when the guess is right.
inline constexpr size_t kMinSecretBytes = 16;
// More than any that is useful: of more than 64 bytes HMAC takes the hash. So that a wrong name
// does not read a disk into memory.
inline constexpr size_t kMaxSecretBytes = 4096;

// What both sides know. Move-only; overwritten in memory when it goes. Immutable, and so any number
// of threads may use one at once.
class Secret {
 public:
  // Of `bytes` as they are. InvalidArgument: fewer than kMinSecretBytes or more than
  // kMaxSecretBytes.
  static absl::StatusOr<Secret> Create(std::string_view bytes);
  // The content of a regular file without the white space at its end, which editors and echo(1)
  // leave. PermissionDenied: others than its owner and group may read or write it (chmod o=).
  // InvalidArgument: as above, or no regular file. Other codes: as open(2) and read(2) fail. The
  // texts name the file, never what is in it.
  static absl::StatusOr<Secret> Load(const std::string& path);

  ~Secret();
  Secret(Secret&& other) noexcept = default;
  Secret& operator=(Secret&& other) noexcept;

 private:
  friend Proof ClientProof(const Secret& secret, const Nonce& server_nonce,
                           const Nonce& client_nonce);
  friend Proof ServerProof(const Secret& secret, const Nonce& server_nonce,
                           const Nonce& client_nonce);

  explicit Secret(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
  // HMAC-SHA-256 of all three, one behind another.
  Proof Prove(std::string_view label, const Nonce& server_nonce, const Nonce& client_nonce) const;

  // A vector, which when moved leaves nothing behind: a short string would.
  std::vector<unsigned char> bytes_;
};

// Bytes of the kernel's generator (getrandom(2)), new ones for each connection. Any thread, and
// children after fork(2).
Nonce MakeNonce();

// What the client sends to prove itself, and what the server answers.
Proof ClientProof(const Secret& secret, const Nonce& server_nonce, const Nonce& client_nonce);
Proof ServerProof(const Secret& secret, const Nonce& server_nonce, const Nonce& client_nonce);

// Takes as long wherever they differ, so that nobody finds a proof byte by byte.
bool ProofsEqual(const Proof& a, const Proof& b);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_AUTHENTICATION_H_
