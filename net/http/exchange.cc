#include "net/http/exchange.h"

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

bool Exchange::stopping() const { return transport_->stopping(); }

}  // namespace quintet::http
