#include "net/files/authentication.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "tests/support/in_child.h"
#include "tests/support/scratch_directory.h"

namespace quintet::files {
namespace {

using ::quintet::testing::InChild;
using ::quintet::testing::ScratchDirectory;
using ::quintet::testing::WriteFile;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kWords = "a secret of 27 bytes, or so";

Nonce Rising(unsigned char first) {
  Nonce nonce;
  std::iota(nonce.begin(), nonce.end(), first);
  return nonce;
}
const Nonce kServerNonce = Rising(0x00);
const Nonce kClientNonce = Rising(0x80);

template <typename Bytes>
void FlipBit(Bytes& bytes, size_t bit) {
  bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ (1U << (bit % 8)));
}

Secret MustCreate(std::string_view bytes) {
  absl::StatusOr<Secret> secret = Secret::Create(bytes);
  EXPECT_TRUE(secret.ok()) << secret.status();
  return *std::move(secret);
}

std::string Hex(const Proof& proof) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(proof.data()), proof.size()});
}
std::string ClientHex(const Secret& secret) {
  return Hex(ClientProof(secret, kServerNonce, kClientNonce));
}

// Computed with Python's hmac and hashlib.
TEST(ProofTest, AreHmacSha256OfLabelAndNonces) {
  struct Vector {
    std::string secret;
    std::string client;
    std::string server;
  };
  const Vector vectors[] = {
      {std::string(kWords), "a563ef63c8575c002230a246f86247c107097abb501c81a3c4fab9c904bf2be1",
       "92bb183525958b718780b83720d42c709558f001b62e73c9accca50a64ce5f45"},
      // Longer than a block of the hash, as in RFC 4231 section 4.7.
      {std::string(131, 'k'), "0fb5899c44ba7e4edba5403802eab7244e941dd4eeb568a6fa2e3aa19b843c2d",
       "2044dd0272e6bedd12afc995b406b36acfce783cb16676f8cdc668dca33ca3ab"},
      // No text.
      {"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff",
       "55bd343d8de92ce2a993cb5b2ca8b9c75c572ec06383f96c0e095ef7cff6e52e",
       "a8c20a8a1fb8f9d04ef1873544c7335fd46c366e8a2a5017ca1ff4d96cb9faed"},
  };
  for (const Vector& vector : vectors) {
    const Secret secret = MustCreate(vector.secret);
    EXPECT_EQ(ClientHex(secret), vector.client);
    EXPECT_EQ(Hex(ServerProof(secret, kServerNonce, kClientNonce)), vector.server);
  }
}

TEST(ProofTest, OneThatWasOverheardProvesNothingElsewhere) {
  const Secret secret = MustCreate(kWords);
  const Proof overheard = ClientProof(secret, kServerNonce, kClientNonce);
  EXPECT_TRUE(ProofsEqual(overheard, ClientProof(secret, kServerNonce, kClientNonce)));
  // On a connection whose server, or client, has another nonce, in any bit.
  for (size_t bit = 0; bit < 8 * kNonceBytes; ++bit) {
    Nonce server_nonce = kServerNonce;
    FlipBit(server_nonce, bit);
    EXPECT_FALSE(ProofsEqual(overheard, ClientProof(secret, server_nonce, kClientNonce)));
    Nonce client_nonce = kClientNonce;
    FlipBit(client_nonce, bit);
    EXPECT_FALSE(ProofsEqual(overheard, ClientProof(secret, kServerNonce, client_nonce)));
  }
  // From the other side, even if that has chosen the same nonces or swapped them.
  EXPECT_FALSE(ProofsEqual(overheard, ServerProof(secret, kServerNonce, kClientNonce)));
  EXPECT_FALSE(ProofsEqual(overheard, ServerProof(secret, kClientNonce, kServerNonce)));
  EXPECT_FALSE(ProofsEqual(overheard, ClientProof(secret, kClientNonce, kServerNonce)));
}

TEST(ProofTest, AnotherSecretGivesAnother) {
  const Secret secret = MustCreate(kWords);
  std::string other(kWords);
  other.back() = '!';
  EXPECT_NE(ClientHex(secret), ClientHex(MustCreate(other)));
  EXPECT_NE(ClientHex(secret), ClientHex(MustCreate(std::string(kWords) + " ")));
}

TEST(ProofTest, AnyBitMakesProofsDiffer) {
  const Proof proof = ClientProof(MustCreate(kWords), kServerNonce, kClientNonce);
  for (size_t bit = 0; bit < 8 * kProofBytes; ++bit) {
    Proof other = proof;
    FlipBit(other, bit);
    EXPECT_FALSE(ProofsEqual(proof, other)) << bit;
  }
  EXPECT_TRUE(ProofsEqual(proof, Proof(proof)));
}

TEST(NonceTest, IsAnotherEachTime) {
  const Nonce first = MakeNonce();
  EXPECT_NE(first, MakeNonce());
  EXPECT_NE(first, Nonce{});
}

TEST(NonceTest, IsAnotherInEachChild) {
  const Nonce before = MakeNonce();  // so that what is set up once, is
  const auto in_child = [] {
    const Nonce nonce = MakeNonce();
    return absl::BytesToHexString({reinterpret_cast<const char*>(nonce.data()), nonce.size()});
  };
  const std::string first = InChild(in_child);
  const std::string second = InChild(in_child);
  EXPECT_EQ(first.size(), 2 * kNonceBytes) << first;
  EXPECT_NE(first, second);
  EXPECT_NE(MakeNonce(), before);
}

// ---- Secrets ----

TEST(SecretTest, HasALengthThatIsNeitherShortNorEndless) {
  EXPECT_EQ(Secret::Create("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Secret::Create(std::string(15, 's')).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Secret::Create(std::string(16, 's')).ok());
  EXPECT_TRUE(Secret::Create(std::string(4096, 's')).ok());
  EXPECT_EQ(Secret::Create(std::string(4097, 's')).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SecretTest, ProvesTheSameWhereverItIsMoved) {
  Secret first = MustCreate(kWords);
  const std::string proof = ClientHex(first);
  Secret second = std::move(first);
  EXPECT_EQ(ClientHex(second), proof);
  Secret third = MustCreate("another secret, soon forgotten");
  third = std::move(second);
  EXPECT_EQ(ClientHex(third), proof);
}

class SecretFileTest : public ::testing::Test {
 protected:
  SecretFileTest() : path_(directory_ / "secret") {}

  absl::StatusOr<Secret> LoadFrom(std::string_view content, mode_t mode = 0600) {
    WriteFile(path_, content);
    EXPECT_EQ(::chmod(path_.c_str(), mode), 0);
    return Secret::Load(path_);
  }
  // InvalidArgument, with the name and nothing of the content.
  void ExpectInvalid(const absl::StatusOr<Secret>& secret, const std::string& why) {
    EXPECT_EQ(secret.status().code(), absl::StatusCode::kInvalidArgument) << secret.status();
    EXPECT_THAT(secret.status().message(), HasSubstr(path_));
    EXPECT_THAT(secret.status().message(), HasSubstr(why));
  }

  ScratchDirectory directory_;
  const std::string path_;
};

TEST_F(SecretFileTest, WhiteSpaceAtTheEndIsNoPartOfIt) {
  const std::string proof = ClientHex(MustCreate(kWords));
  for (const std::string_view end : {"", "\n", "\r\n", " \t\v\f\n\n"}) {
    const absl::StatusOr<Secret> secret = LoadFrom(std::string(kWords) + std::string(end));
    ASSERT_TRUE(secret.ok()) << secret.status();
    EXPECT_EQ(ClientHex(*secret), proof);
  }
  // Elsewhere it is.
  const absl::StatusOr<Secret> secret = LoadFrom(" " + std::string(kWords));
  ASSERT_TRUE(secret.ok()) << secret.status();
  EXPECT_EQ(ClientHex(*secret), ClientHex(MustCreate(" " + std::string(kWords))));
}

TEST_F(SecretFileTest, MustHaveEnoughBesidesWhiteSpace) {
  ExpectInvalid(LoadFrom(""), "16");
  ExpectInvalid(LoadFrom("\n\n"), "16");
  ExpectInvalid(LoadFrom("fifteen bytes.." + std::string(100, '\n')), "16");
  EXPECT_THAT(LoadFrom("fifteen bytes..").status().message(), Not(HasSubstr("fifteen")));
  EXPECT_TRUE(LoadFrom("sixteen bytes...").ok());
}

TEST_F(SecretFileTest, MustNotBeEndless) {
  EXPECT_TRUE(LoadFrom(std::string(4096, 's')).ok());
  ExpectInvalid(LoadFrom(std::string(4097, 's')), "4096");
  ExpectInvalid(LoadFrom(std::string(1 << 20, 's')), "4096");
}

TEST_F(SecretFileTest, IsNotForEverybody) {
  for (const mode_t mode : {0400, 0600, 0440, 0640, 0660, 0601}) {
    EXPECT_TRUE(LoadFrom(kWords, mode).ok()) << std::oct << mode;
    ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  }
  for (const mode_t mode : {0444, 0604, 0644, 0602, 0666, 0777}) {
    const absl::Status status = LoadFrom(kWords, mode).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << std::oct << mode;
    EXPECT_THAT(status.message(), HasSubstr("chmod o= " + path_));
    ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  }
}

TEST_F(SecretFileTest, MustBeThereAndAFile) {
  const absl::Status missing = Secret::Load(path_).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(path_));
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);  // would wait for somebody who writes
  ExpectInvalid(Secret::Load(path_), "no regular file");
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  ExpectInvalid(Secret::Load(path_), "no regular file");
}

}  // namespace
}  // namespace quintet::files
