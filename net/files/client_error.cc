#include "net/files/client_error.h"

#include "net/files/path.h"

namespace quintet::files {
namespace {

std::string ReasonText(CloseReason reason) {
  switch (reason) {
    case CloseReason::kConnectFailed:
      return "cannot connect: nobody listens there";
    case CloseReason::kConnectTimeout:
      return "cannot connect: no answer in time";
    case CloseReason::kDeadline:
    case CloseReason::kWriteStall:
      return "the server did nothing for too long";
    case CloseReason::kPeerClosed:
    case CloseReason::kLocal:
      return "the server closed the connection";
    case CloseReason::kPeerReset:
      return "the server reset the connection";
    default:
      return "the connection has ended: " + std::string(CloseReasonName(reason));
  }
}

}  // namespace

std::string ClientError::ToString() const {
  std::string line = code.has_value() ? std::string(ErrorCodeName(*code)) : std::string();
  if (!text.empty()) line += (line.empty() ? "" : ": ") + SafeText(text);
  return line;
}

ClientError ConnectionError(CloseReason reason) {
  return {.code = std::nullopt, .reason = reason, .text = ReasonText(reason)};
}

}  // namespace quintet::files
