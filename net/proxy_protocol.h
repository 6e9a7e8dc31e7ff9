// The header of the PROXY protocol, versions 1 and 2: with it a proxy begins a connection to say
// whose connection it passes on. The rules are those of HAProxy's document doc/proxy-protocol.txt,
// sections 2.1 and 2.2.
#ifndef QUINTET_NET_PROXY_PROTOCOL_H_
#define QUINTET_NET_PROXY_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/address.h"

namespace quintet {

// The longest line of version 1, with its CRLF (section 2.1).
inline constexpr size_t kMaxProxyV1Bytes = 107;
// The longest header of version 2 that is accepted. The protocol allows 64 KiB; addresses take at
// most 216 bytes, a host name 255, a unique id 128, and a certificate's fields a few hundred. Who
// has not said yet who it is shall not make a server hold more.
inline constexpr size_t kMaxProxyV2Bytes = 4096;

// What the first bytes of a connection are.
struct ProxyHeader {
  enum class State : uint8_t {
    kIncomplete,  // nothing is wrong so far
    kComplete,
    kBad,  // no header, or one that breaks a rule: more bytes do not change that
  };

  State state = State::kIncomplete;
  // kComplete: how long it is, in bytes. What follows belongs to the connection.
  size_t bytes = 0;
  // kComplete: both ends of the connection that is passed on. Empty where the connection speaks for
  // itself (LOCAL, as in health checks) or the proxy does not know (UNKNOWN, UNSPEC).
  std::optional<Address> source;
  std::optional<Address> destination;
  // kBad: what is wrong, in a few words. Lives for ever.
  std::string_view error;
};

// Looks at `bytes`, all that has arrived so far, and keeps nothing. The verdict does not depend on
// how the bytes arrived: once it is not kIncomplete, it is the same for whatever begins with them.
// Never kIncomplete for kMaxProxyV2Bytes or more.
//
// Strict: version 1 with single spaces, numbers without leading zeros and addresses of the family
// it announces; version 2 with commands, families and protocols that the document defines, of a
// stream, and with type-length-value entries that fill it exactly. A checksum (CRC32c) is verified
// where there is one; other entries are passed over. What follows the family of LOCAL and of UNSPEC
// is passed over unseen, as the document asks for.
ProxyHeader ReadProxyHeader(std::string_view bytes);

}  // namespace quintet

#endif  // QUINTET_NET_PROXY_PROTOCOL_H_
