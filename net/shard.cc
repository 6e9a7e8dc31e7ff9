#include "net/shard.h"

#include <utility>

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
      group_(std::make_unique<ConnectionGroup>(*loop_, options.connection, &counters_)),
      executor_(group_->executor()) {
  group_->set_on_closed([this] { OnConnectionClosed(); });
}

bool Shard::AtLimit() const {
  const size_t limit = options_.max_connections_per_shard;
  return limit > 0 && group_->size() >= limit;
}

void Shard::OnAccept(Socket socket) {
  // Refused by the backend: the client is closed and counted (ConnectionCounters::refused).
  static_cast<void>(group_->Adopt(std::move(socket), sessions_.CreateSession()));
  if (!AtLimit()) return;
  for (const ListenerPtr& listener : listeners_) listener->Pause();
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
          .accept_pauses = read(accept_pauses_)};
}

}  // namespace quintet
