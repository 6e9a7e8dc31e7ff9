#include "net/http/exchange.h"

#include "net/http/server_session.h"

namespace quintet::http {

void Exchange::Reply(int status, std::string_view text) {
  response_.SetStatus(status);
  response_.AddFieldLine("Content-Type: text/plain\r\n");
  response_.Send(text);
}

ExchangeHandle Exchange::Defer() {
  deferred_ = true;
  if (ticket_ == nullptr) ticket_ = std::make_shared<ExchangeHandle::Ticket>();
  ticket_->session = session_;
  return ExchangeHandle(transport_->executor(), ticket_);
}

absl::StatusOr<Address> Exchange::PeerAddress() const { return transport_->PeerAddress(); }

absl::StatusOr<Address> Exchange::LocalAddress() const { return transport_->LocalAddress(); }

bool Exchange::RedirectLocally(std::string_view target) {
  return session_->RedirectLocally(target);
}

bool Exchange::stopping() const { return transport_->stopping(); }

}  // namespace quintet::http
