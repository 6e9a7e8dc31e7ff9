#include "net/connector.h"

#include <utility>

#include "net/connection.h"
#include "net/socket.h"

namespace quintet {

Connector::Connector(ConnectionGroup& group, ConnectorOptions options)
    : group_(group), options_(std::move(options)) {}

absl::StatusOr<Connection*> Connector::Connect(const Address& address,
                                               std::unique_ptr<Session> session) {
  auto socket = Socket::CreateStream(address);
  if (!socket.ok()) return socket.status();
  absl::Status status;
  if (options_.no_delay && !address.is_unix()) status = socket->SetNoDelay(true);
  if (status.ok() && options_.local.has_value()) status = socket->Bind(*options_.local);
  if (!status.ok()) return status;
  return group_.Connect(*std::move(socket), address, options_.timeout, std::move(session));
}

}  // namespace quintet
