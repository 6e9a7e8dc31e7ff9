#include "net/session.h"

namespace quintet {

absl::StatusOr<Address> Transport::LocalAddress() const {
  return absl::UnimplementedError("this transport has no address of its own");
}

std::string_view CloseReasonName(CloseReason reason) {
  switch (reason) {
    case CloseReason::kNone:
      return "none";
    case CloseReason::kLocal:
      return "local";
    case CloseReason::kPeerClosed:
      return "peer_closed";
    case CloseReason::kPeerReset:
      return "peer_reset";
    case CloseReason::kError:
      return "error";
    case CloseReason::kConnectFailed:
      return "connect_failed";
    case CloseReason::kConnectTimeout:
      return "connect_timeout";
    case CloseReason::kDeadline:
      return "deadline";
    case CloseReason::kWriteStall:
      return "write_stall";
    case CloseReason::kOutputLimit:
      return "output_limit";
    case CloseReason::kLingerTimeout:
      return "linger_timeout";
    case CloseReason::kSessionError:
      return "session_error";
    case CloseReason::kAborted:
      return "aborted";
    case CloseReason::kRefused:
      return "refused";
    case CloseReason::kDrained:
      return "drained";
    case CloseReason::kProxyHeader:
      return "proxy_header";
  }
  return "unknown";
}

}  // namespace quintet
