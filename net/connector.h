// Outgoing connections.
#ifndef QUINTET_NET_CONNECTOR_H_
#define QUINTET_NET_CONNECTOR_H_

#include <chrono>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/connection_group.h"
#include "net/session.h"

namespace quintet {

class Connection;

struct ConnectorOptions {
  // Until the connection stands; zero: the kernel's own patience (tcp_syn_retries, two minutes).
  Duration timeout = std::chrono::seconds(10);
  std::optional<Address> local;  // bound before connecting
  bool no_delay = true;          // TCP_NODELAY, on IP addresses
};

// Makes sockets and lets a group connect them. Loop's thread only; the group must outlive it.
class Connector {
 public:
  explicit Connector(ConnectionGroup& group, ConnectorOptions options = {});

  // `session` is told how it went: OnOpen(), or OnClosed() with kConnectFailed or kConnectTimeout.
  // The pointer is good until OnClosed() has returned. Errors: no socket could be made or bound.
  absl::StatusOr<Connection*> Connect(const Address& address, std::unique_ptr<Session> session);

 private:
  ConnectionGroup& group_;
  const ConnectorOptions options_;
};

}  // namespace quintet

#endif  // QUINTET_NET_CONNECTOR_H_
