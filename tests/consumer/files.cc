// A program of a user that speaks the files protocol: reads what it has written.

#include <net/files/authentication.h>
#include <net/files/frame.h>
#include <net/files/path.h>

#include <cstdio>
#include <span>
#include <string>

int main() {
  using quintet::files::FrameDecoder;
  using quintet::files::FrameType;

  const absl::StatusOr<quintet::files::Secret> secret =
      quintet::files::Secret::Create("only of this example");
  if (!secret.ok()) return 1;
  const quintet::files::Nonce nonce = quintet::files::MakeNonce();
  const bool proved = quintet::files::ProofsEqual(ClientProof(*secret, nonce, nonce),
                                                  ClientProof(*secret, nonce, nonce));

  const std::string bytes = quintet::files::EncodeFrame(FrameType::kStat, 0, 1, "a/name");
  FrameDecoder decoder;
  std::span<const std::byte> input = std::as_bytes(std::span(bytes));
  const bool read = decoder.Next(input) == FrameDecoder::Event::kFrame && decoder.intact() &&
                    quintet::files::CheckPath(decoder.payload());

  std::printf("proved: %d, read: %d\n", proved, read);
  return proved && read ? 0 : 1;
}
