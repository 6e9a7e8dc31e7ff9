// How a request of a client, or its connection, has failed.
#ifndef QUINTET_NET_FILES_CLIENT_ERROR_H_
#define QUINTET_NET_FILES_CLIENT_ERROR_H_

#include <optional>
#include <string>

#include "net/files/messages.h"
#include "net/session.h"

namespace quintet::files {

struct ClientError {
  // What the server answered, or what this side found out in its place: kCrc, kProtocol,
  // kAuthentication, kMismatch. Nothing where only the connection has failed.
  std::optional<ErrorCode> code = std::nullopt;
  // Why the connection is gone. kNone: it stands, and only this request has failed.
  CloseReason reason = CloseReason::kNone;
  // For people. The server's own words may hold any bytes.
  std::string text = {};

  bool connection_lost() const { return reason != CloseReason::kNone; }
  // One line that a terminal can be given: "not found: no such file".
  std::string ToString() const;
  friend bool operator==(const ClientError&, const ClientError&) = default;
};

// What a connection that ended for `reason` means to its client: "nobody listens there".
ClientError ConnectionError(CloseReason reason);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_CLIENT_ERROR_H_
