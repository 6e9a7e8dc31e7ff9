#include "net/shard.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace quintet {

absl::StatusOr<std::unique_ptr<Shard>> Shard::Create(const ServerOptions& options,
                                                     SessionFactory& sessions,
                                                     WorkerCounters& counters) {
  EventLoopOptions loop_options = options.loop;
  loop_options.gauges = &counters.gauges;
  auto loop = EventLoop::Create(loop_options);
  if (!loop.ok()) return loop.status();
  (*loop)->backend().set_empty_accepts(&counters.empty_accepts);
  return std::unique_ptr<Shard>(new Shard(options, sessions, counters, *std::move(loop)));
}

Shard::Shard(const ServerOptions& options, SessionFactory& sessions, WorkerCounters& counters,
             std::unique_ptr<EventLoop> loop)
    : options_(options),
      sessions_(sessions),
      counters_(counters),
      loop_(std::move(loop)),
      proxy_log_(*loop_),
      proxy_{.header_timeout = options.proxy_header_timeout,
             .on_refused = [this](std::string_view why,
                                  const Transport& transport) { OnProxyRefused(why, transport); }},
      group_(std::make_unique<ConnectionGroup>(*loop_, options.connection, &counters.connections)),
      executor_(group_->executor()) {
  group_->set_on_closed([this] { OnConnectionClosed(); });
}

absl::Status Shard::AcceptFrom(const ListenSockets& sockets, std::span<const size_t> indices) {
  for (Entry& entry : listeners_) {
    const bool stays = std::find(indices.begin(), indices.end(), entry.socket) != indices.end();
    if (!stays && !entry.leaving) Leave(entry, Backlog::kLeave);
  }
  for (const size_t index : indices) {
    if (AcceptsFrom(index)) continue;
    if (absl::Status status = Listen(sockets, index); !status.ok()) return status;
  }
  return absl::OkStatus();
}

bool Shard::AcceptsFrom(size_t index) const {
  return std::any_of(listeners_.begin(), listeners_.end(), [index](const Entry& entry) {
    return entry.socket == index && !entry.leaving;
  });
}

absl::Status Shard::Listen(const ListenSockets& sockets, size_t index) {
  auto socket = sockets.Duplicate(index);
  if (!socket.ok()) return socket.status();
  auto listener = Listener::Create(
      *loop_, *std::move(socket), [this](Socket accepted) { Adopt(std::move(accepted)); },
      sockets.SharingOf(index));
  if (!listener.ok()) return listener.status();
  (*listener)->set_on_exhausted([this] { ConnectionCounters::Add(counters_.accept_pauses, 1); });
  if (at_limit_) (*listener)->Pause();
  listeners_.push_back({index, *std::move(listener)});
  return absl::OkStatus();
}

void Shard::Leave(Entry& entry, Backlog backlog) {
  entry.leaving = true;
  entry.listener->Finish(backlog, [this, listener = entry.listener.get()] { OnLeft(listener); });
}

void Shard::OnLeft(const Listener* listener) {
  std::erase_if(listeners_,
                [listener](const Entry& entry) { return entry.listener.get() == listener; });
  if (on_left_) on_left_();
  if (draining_) EndIfDrained();
}

void Shard::Look() {
  // Those that are paused or leave do nothing.
  for (Entry& entry : listeners_) entry.listener->Look();
}

bool Shard::AtLimit() const {
  const size_t limit = options_.max_connections_per_shard;
  return limit > 0 && group_->size() >= limit;
}

std::unique_ptr<Session> Shard::CreateSession() {
  std::unique_ptr<Session> session = sessions_.CreateSession();
  if (!options_.proxy_protocol) return session;
  return std::make_unique<ProxySession>(std::move(session), proxy_);
}

void Shard::Adopt(Socket socket) {
  // Too late: what is open has been ended, and nothing would end this one.
  if (draining_ && loop_->clock().Now() >= drain_deadline_) return;
  // Refused by the backend: the client is closed and counted (ConnectionCounters::refused).
  static_cast<void>(group_->Adopt(std::move(socket), CreateSession()));
  if (!AtLimit() || std::exchange(at_limit_, true)) return;
  for (Entry& entry : listeners_) {
    if (!entry.leaving) entry.listener->Pause();
  }
  if (on_left_) on_left_();
}

void Shard::OnProxyRefused(std::string_view why, const Transport& transport) {
  ConnectionCounters::Add(counters_.proxy_errors, 1);
  proxy_log_.Write(LogLevel::kWarning, [&] {
    const absl::StatusOr<Address> peer = transport.PeerAddress();
    return absl::StrCat("PROXY header of ", peer.ok() ? peer->ToString() : "a client that has gone",
                        ": ", std::string(why));
  });
}

void Shard::OnConnectionClosed() {
  if (draining_) return EndIfDrained();
  if (AtLimit()) return;
  at_limit_ = false;
  // Also where it waits for descriptors: one has come free.
  for (Entry& entry : listeners_) entry.listener->Resume();
}

void Shard::Drain(Duration timeout, std::span<const size_t> abandoned, const ListenSockets* held) {
  if (!std::exchange(draining_, true)) {
    for (const size_t index : abandoned) {
      // On an error, out of descriptors say, they are another's, or are reset.
      if (held != nullptr && !AcceptsFrom(index)) static_cast<void>(Listen(*held, index));
    }
    for (Entry& entry : listeners_) {
      const bool last =
          std::find(abandoned.begin(), abandoned.end(), entry.socket) != abandoned.end();
      if (!entry.leaving) Leave(entry, last ? Backlog::kTake : Backlog::kLeave);
    }
    group_->Drain();
  }
  const TimePoint deadline = AddSaturated(loop_->clock().Now(), timeout);
  if (deadline < drain_deadline_) {
    drain_deadline_ = deadline;
    loop_->Cancel(drain_timer_);
    if (timeout <= Duration::zero()) {
      group_->AbortAll(CloseReason::kAborted);
    } else {
      drain_timer_ = loop_->RunAt(deadline, [this] { group_->EndAll(); });
    }
  }
  EndIfDrained();
}

void Shard::EndIfDrained() {
  if (group_->size() == 0 && listeners_.empty()) loop_->Stop();
}

void Shard::TearDown() {
  listeners_.clear();
  group_.reset();
  loop_.reset();
}

}  // namespace quintet
