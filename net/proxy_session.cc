#include "net/proxy_session.h"

#include <utility>

namespace quintet {

ProxySession::ProxySession(std::unique_ptr<Session> inner, const ProxyOptions& options)
    : inner_(std::move(inner)), options_(options) {}

void ProxySession::OnOpen() {
  if (options_.header_timeout <= Duration::zero()) return;
  transport().SetDeadline(AddSaturated(transport().now(), options_.header_timeout));
}

size_t ProxySession::OnData(std::span<const std::byte> data) {
  return open_ ? inner_->OnData(data) : OnHeaderBytes(data);
}

size_t ProxySession::OnHeaderBytes(std::span<const std::byte> data) {
  const std::string_view arrived(reinterpret_cast<const char*>(data.data()), data.size());
  const size_t before = partial_.size();
  ProxyHeader header;
  if (before == 0) {
    // Senders are to send it at once: nothing is copied then.
    header = ReadProxyHeader(arrived);
    if (header.state == ProxyHeader::State::kIncomplete) partial_ = arrived;
  } else {
    partial_.append(arrived.substr(0, kMaxProxyV2Bytes - before));
    header = ReadProxyHeader(partial_);
  }
  if (header.state == ProxyHeader::State::kBad) Refuse(header.error);
  if (header.state != ProxyHeader::State::kComplete) return data.size();

  const size_t consumed = header.bytes - before;
  std::string().swap(partial_);  // assignment would keep its memory
  OpenInner(header);
  // What it leaves to the transport is brought again as if it had come later.
  const std::span<const std::byte> rest = data.subspan(consumed);
  if (rest.empty() || transport().ending() || transport().reading_paused()) return consumed;
  return consumed + inner_->OnData(rest);
}

void ProxySession::OpenInner(const ProxyHeader& header) {
  open_ = true;
  transport().SetDeadline(kNever);
  if (header.source.has_value()) transport().SetPeerAddress(*header.source);
  inner_->Attach(transport());
  inner_->OnOpen();
  if (drained_ && !transport().ending()) inner_->OnDrain();
}

void ProxySession::Refuse(std::string_view why) {
  if (options_.on_refused) options_.on_refused(why, transport());
  transport().Abort(CloseReason::kProxyHeader);
}

void ProxySession::OnEof() {
  if (open_) return inner_->OnEof();
  if (partial_.empty()) return transport().Close();
  Refuse("the connection ended within its header");
}

void ProxySession::OnOutputDrained() {
  if (open_) inner_->OnOutputDrained();
}

// Nothing is written before the header: it is the inner session's.
void ProxySession::OnFileShort(uint64_t missing) { inner_->OnFileShort(missing); }

void ProxySession::OnDeadline() {
  if (open_) return inner_->OnDeadline();
  Refuse("no complete header came in time");
}

void ProxySession::OnDrain() {
  if (open_) return inner_->OnDrain();
  drained_ = true;
}

bool ProxySession::idle() const { return open_ ? inner_->idle() : partial_.empty(); }

void ProxySession::OnClosed(CloseReason reason) {
  if (open_) inner_->OnClosed(reason);
}

}  // namespace quintet
