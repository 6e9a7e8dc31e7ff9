#include "net/listen_policy.h"

namespace quintet {

std::string_view ListenPolicyName(ListenPolicy policy) {
  switch (policy) {
    case ListenPolicy::kReusePort:
      return "reuseport";
    case ListenPolicy::kExclusive:
      return "exclusive";
    case ListenPolicy::kShared:
      return "shared";
    case ListenPolicy::kHandoff:
      return "handoff";
  }
  return "unknown";
}

}  // namespace quintet
