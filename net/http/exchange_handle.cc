#include "net/http/exchange_handle.h"

#include <utility>

#include "net/http/server_session.h"

namespace quintet::http {

bool ExchangeHandle::Run(Task task) const {
  if (executor_ == nullptr) return false;
  return executor_->Post([ticket = ticket_, late = std::move(task)]() mutable {
    if (ticket->session == nullptr) return;
    ticket->session->RunLate([&late](Exchange& exchange) { late(exchange); });
  });
}

bool ExchangeHandle::RunHere(absl::FunctionRef<void(Exchange&)> task) const {
  if (ticket_ == nullptr || ticket_->session == nullptr) return false;
  return ticket_->session->RunLate(task);
}

}  // namespace quintet::http
