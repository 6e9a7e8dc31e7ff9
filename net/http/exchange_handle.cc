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

}  // namespace quintet::http
