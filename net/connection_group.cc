#include "net/connection_group.h"

#include <algorithm>
#include <utility>

#include "net/connection.h"

namespace quintet {
namespace {

ConnectionOptions Bounded(ConnectionOptions options) {
  options.output_cap = std::min(options.output_cap, ConnectionOptions::kMaxOutputCap);
  return options;
}

}  // namespace

ConnectionGroup::ConnectionGroup(EventLoop& loop, ConnectionOptions options,
                                 ConnectionCounters* counters)
    : loop_(loop),
      options_(Bounded(options)),
      counters_(counters != nullptr ? counters : &own_counters_),
      executor_(std::make_shared<LoopExecutor>(&loop)) {}

ConnectionGroup::~ConnectionGroup() {
  executor_->Close();
  ForEach([](Connection& connection) { connection.Orphan(); });
  counters_->active.store(0, std::memory_order_relaxed);
}

template <typename Visit>
void ConnectionGroup::ForEach(Visit&& visit) {
  // `visit` runs no user code and removes nothing: connections leave with their kClosed.
  for (Connection* connection = first_; connection != nullptr;) {
    Connection* const next = connection->next_in_group_;
    visit(*connection);
    connection = next;
  }
}

absl::StatusOr<Connection*> ConnectionGroup::Add(Socket socket, std::unique_ptr<Session> session,
                                                 bool connecting) {
  auto* connection =
      new Connection(*this, socket.fd(), std::move(session),
                     connecting ? Connection::State::kConnecting : Connection::State::kOpen);
  const absl::Status status = loop_.backend().Add(*connection);
  if (!status.ok()) {
    ConnectionCounters::Add(counters_->refused, 1);
    delete connection;
    return status;
  }
  [[maybe_unused]] const int fd = socket.Release();  // the backend closes it
  connection->next_in_group_ = first_;
  if (first_ != nullptr) first_->previous_in_group_ = connection;
  first_ = connection;
  ++size_;
  ConnectionCounters::Add(counters_->opened, 1);
  counters_->active.store(size_, std::memory_order_relaxed);
  return connection;
}

absl::StatusOr<Connection*> ConnectionGroup::Adopt(Socket socket,
                                                   std::unique_ptr<Session> session) {
  auto connection = Add(std::move(socket), std::move(session), /*connecting=*/false);
  if (!connection.ok()) return connection;
  if (draining_) (*connection)->Drain();
  (*connection)->Open();
  return connection;
}

absl::StatusOr<Connection*> ConnectionGroup::Connect(Socket socket, const Address& address,
                                                     Duration timeout,
                                                     std::unique_ptr<Session> session) {
  auto connection = Add(std::move(socket), std::move(session), /*connecting=*/true);
  if (!connection.ok()) return connection;
  (*connection)->StartConnecting(address, timeout);
  if (draining_) (*connection)->Drain();
  return connection;
}

void ConnectionGroup::Remove(Connection& connection) {
  Connection* const next = connection.next_in_group_;
  Connection* const previous = connection.previous_in_group_;
  (previous != nullptr ? previous->next_in_group_ : first_) = next;
  if (next != nullptr) next->previous_in_group_ = previous;
  --size_;
  counters_->active.store(size_, std::memory_order_relaxed);
  if (on_closed_) on_closed_();
}

void ConnectionGroup::Drain() {
  draining_ = true;
  ForEach([](Connection& connection) { connection.Drain(); });
}

void ConnectionGroup::EndAll() {
  ForEach([](Connection& connection) { connection.End(); });
}

void ConnectionGroup::AbortAll(CloseReason reason) {
  ForEach([reason](Connection& connection) { connection.Abort(reason); });
}

}  // namespace quintet
