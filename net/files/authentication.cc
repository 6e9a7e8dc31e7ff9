#include "net/files/authentication.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/unique_fd.h"

namespace quintet::files {
namespace {

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";
// What tells the two proofs apart: without it a client could be made to answer its own question.
constexpr std::string_view kClientLabel = "quintet files client 1";
constexpr std::string_view kServerLabel = "quintet files server 1";
static_assert(kProofBytes == crypto_auth_hmacsha256_BYTES);

// Bytes that are overwritten when they go, on whichever way.
class WipedBuffer {
 public:
  WipedBuffer() = default;
  ~WipedBuffer() { sodium_memzero(bytes_.data(), bytes_.size()); }
  WipedBuffer(const WipedBuffer&) = delete;
  WipedBuffer& operator=(const WipedBuffer&) = delete;

  char* data() { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }

 private:
  // One byte more than a secret may have shows that there are more.
  std::array<char, kMaxSecretBytes + 1> bytes_;
};

// Reads from `fd` until the buffer is full or the file ends; how much, or -errno.
ssize_t ReadUpTo(int fd, char* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(fd, to + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

}  // namespace

absl::StatusOr<Secret> Secret::Create(std::string_view bytes) {
  if (bytes.size() < kMinSecretBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a secret has at least ", kMinSecretBytes, " bytes, not ", bytes.size()));
  }
  if (bytes.size() > kMaxSecretBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a secret has at most ", kMaxSecretBytes, " bytes"));
  }
  return Secret(bytes);
}

absl::StatusOr<Secret> Secret::Load(const std::string& path) {
  // O_NONBLOCK: the open of a FIFO would wait for who writes into it.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no regular file"));
  }
  // Written by others it would be no secret either.
  if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, ": everybody may read or write it; chmod o= ", path));
  }

  WipedBuffer buffer;
  const ssize_t size = ReadUpTo(fd.get(), buffer.data(), buffer.size());
  if (size < 0) return ErrnoStatus(static_cast<int>(-size), path);
  std::string_view bytes(buffer.data(), static_cast<size_t>(size));
  bytes = bytes.substr(0, bytes.find_last_not_of(kWhiteSpace) + 1);  // npos + 1 == 0: none
  absl::StatusOr<Secret> secret = Create(bytes);
  if (!secret.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", secret.status().message()));
  }
  return secret;
}

Secret::~Secret() { sodium_memzero(bytes_.data(), bytes_.size()); }

Secret& Secret::operator=(Secret&& other) noexcept {
  // What was here goes, overwritten, with `other`.
  bytes_.swap(other.bytes_);
  return *this;
}

Proof Secret::Prove(std::string_view label, const Nonce& server_nonce,
                    const Nonce& client_nonce) const {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, bytes_.data(), bytes_.size());
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(label.data()),
                                label.size());
  crypto_auth_hmacsha256_update(&state, server_nonce.data(), server_nonce.size());
  crypto_auth_hmacsha256_update(&state, client_nonce.data(), client_nonce.size());
  Proof proof;
  crypto_auth_hmacsha256_final(&state, proof.data());
  sodium_memzero(&state, sizeof(state));
  return proof;
}

Nonce MakeNonce() {
  // Once and by one thread, before anything random is asked for (libsodium, "Usage"). It fails only
  // where a lock of its own does; a nonce that can be guessed is no way out.
  static const bool initialised = sodium_init() >= 0;
  if (!initialised) std::abort();
  Nonce nonce;
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

Proof ClientProof(const Secret& secret, const Nonce& server_nonce, const Nonce& client_nonce) {
  return secret.Prove(kClientLabel, server_nonce, client_nonce);
}

Proof ServerProof(const Secret& secret, const Nonce& server_nonce, const Nonce& client_nonce) {
  return secret.Prove(kServerLabel, server_nonce, client_nonce);
}

bool ProofsEqual(const Proof& a, const Proof& b) {
  return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace quintet::files
