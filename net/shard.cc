#include "net/shard.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace quintet {

absl::StatusOr<std::unique_ptr<Shard>> Shard::Create(const ServerOptions& options,
                                                     SessionFactory& sessions,
                                                     std::vector<Socket> sockets) {
  auto loop = EventLoop::Create(options.loop);
  if (!loop.ok()) return loop.status();
  std::unique_ptr<Shard> shard(new Shard(options, sessions, *std::move(loop)));
  for (Socket& socket : sockets) {
    auto listener =
        Listener::Create(*shard->loop_, std::move(socket),
                         [raw = shard.get()](Socket s) { raw->OnAccept(std::move(s)); });
    if (!listener.ok()) return listener.status();
    (*listener)->set_on_exhausted(
        [raw = shard.get()] { ConnectionCounters::Add(raw->accept_pauses_, 1); });
    shard->listeners_.push_back(*std::move(listener));
  }
  return shard;
}

Shard::Shard(const ServerOptions& options, SessionFactory& sessions,
             std::unique_ptr<EventLoop> loop)
    : options_(options),
      sessions_(sessions),
      loop_(std::move(loop)),
      proxy_log_(*loop_),
      proxy_{.header_timeout = options.proxy_header_timeout,
             .on_refused = [this](std::string_view why,
                                  const Transport& transport) { OnProxyRefused(why, transport); }},
      group_(std::make_unique<ConnectionGroup>(*loop_, options.connection, &counters_)),
      executor_(group_->executor()) {
  group_->set_on_closed([this] { OnConnectionClosed(); });
}

bool Shard::AtLimit() const {
  const size_t limit = options_.max_connections_per_shard;
  return limit > 0 && group_->size() >= limit;
}

void Shard::OnAccept(Socket socket) {
  std::unique_ptr<Session> session = sessions_.CreateSession();
  if (options_.proxy_protocol) {
    session = std::make_unique<ProxySession>(std::move(session), proxy_);
  }
  // Refused by the backend: the client is closed and counted (ConnectionCounters::refused).
  static_cast<void>(group_->Adopt(std::move(socket), std::move(session)));
  if (!AtLimit()) return;
  for (const ListenerPtr& listener : listeners_) listener->Pause();
}

void Shard::OnProxyRefused(std::string_view why, const Transport& transport) {
  ConnectionCounters::Add(proxy_errors_, 1);
  proxy_log_.Write(LogLevel::kWarning, [&] {
    const absl::StatusOr<Address> peer = transport.PeerAddress();
    return absl::StrCat("PROXY header of ", peer.ok() ? peer->ToString() : "a client that has gone",
                        ": ", std::string(why));
  });
}

void Shard::OnConnectionClosed() {
  if (draining_) {
    if (group_->size() == 0) loop_->Stop();
    return;
  }
  for (const ListenerPtr& listener : listeners_) {
    // Also where it waits for descriptors: one has come free.
    if (!AtLimit()) listener->Resume();
  }
}

void Shard::Drain(Duration timeout) {
  listeners_.clear();
  if (!std::exchange(draining_, true)) group_->Drain();
  if (group_->size() == 0) {
    loop_->Stop();
    return;
  }
  const TimePoint deadline = AddSaturated(loop_->clock().Now(), timeout);
  if (deadline >= drain_deadline_) return;
  drain_deadline_ = deadline;
  loop_->Cancel(drain_timer_);
  drain_timer_ = loop_->RunAt(deadline, [this, at_once = timeout <= Duration::zero()] {
    at_once ? group_->AbortAll(CloseReason::kAborted) : group_->EndAll();
  });
}

void Shard::TearDown() {
  listeners_.clear();
  group_.reset();
  loop_.reset();
}

ShardStats Shard::Stats() const {
  const auto read = [](const std::atomic<uint64_t>& n) {
    return n.load(std::memory_order_relaxed);
  };
  return {.accepted = read(counters_.opened) + read(counters_.refused),
          .active = read(counters_.active),
          .bytes_in = read(counters_.bytes_in),
          .bytes_out = read(counters_.bytes_out),
          .refused = read(counters_.refused),
          .proxy_errors = read(proxy_errors_),
          .accept_pauses = read(accept_pauses_)};
}

}  // namespace quintet
