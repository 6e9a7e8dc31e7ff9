// How the workers of a server share its listening addresses.
#ifndef QUINTET_NET_LISTEN_POLICY_H_
#define QUINTET_NET_LISTEN_POLICY_H_

#include <cstdint>
#include <string_view>

namespace quintet {

// docs/backends.md, "Listening policies", says what each backend makes of them.
enum class ListenPolicy : uint8_t {
  // One socket per worker, the kernel spreads connections by a hash of their addresses
  // (SO_REUSEPORT, socket(7)). Unix sockets have no such thing: there it is kExclusive.
  kReusePort,
  // One socket for all, of whom the kernel wakes as few as it can for a connection.
  kExclusive,
  // One socket for all, and all are woken: the thundering herd, for comparison.
  kShared,
  // One acceptor gives each connection to the worker that has the fewest.
  kHandoff,
};

// "reuseport", "exclusive", "shared", "handoff".
std::string_view ListenPolicyName(ListenPolicy policy);

inline constexpr ListenPolicy kListenPolicies[] = {ListenPolicy::kReusePort,
                                                   ListenPolicy::kExclusive, ListenPolicy::kShared,
                                                   ListenPolicy::kHandoff};

}  // namespace quintet

#endif  // QUINTET_NET_LISTEN_POLICY_H_
