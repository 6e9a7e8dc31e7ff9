#include "net/acceptor.h"

#include <algorithm>
#include <utility>

namespace quintet {

Acceptor::Taker::Taker(const WorkerCounters& counters, size_t max_connections)
    : counters_(counters), max_connections_(max_connections), taken_before_(taken()) {}

uint64_t Acceptor::Taker::taken() const {
  const ConnectionCounters& connections = counters_.connections;
  return connections.opened.load(std::memory_order_relaxed) +
         connections.refused.load(std::memory_order_relaxed);
}

uint64_t Acceptor::Taker::load() const {
  // Read first: one that is taken between the two readings counts twice, not never.
  const uint64_t taken_of_given = taken() - taken_before_;
  const uint64_t on_their_way = given_ > taken_of_given ? given_ - taken_of_given : 0;
  return counters_.connections.active.load(std::memory_order_relaxed) + on_their_way;
}

absl::Status Acceptor::Start(const ListenSockets& sockets) {
  for (size_t i = 0; i < sockets.size(); ++i) {
    auto socket = sockets.Duplicate(i);
    if (!socket.ok()) return socket.status();
    auto listener = Listener::Create(loop_, *std::move(socket),
                                     [this](Socket accepted) { OnAccept(std::move(accepted)); });
    if (!listener.ok()) return listener.status();
    listeners_.push_back(*std::move(listener));
  }
  return absl::OkStatus();
}

void Acceptor::Add(Taker* taker) {
  takers_.push_back(taker);
  if (resting_) Retry();
}

void Acceptor::Remove(Taker* taker) { std::erase(takers_, taker); }

void Acceptor::OnAccept(Socket socket) {
  if (waiting_.empty() && Give(socket)) return;
  waiting_.push_back(std::move(socket));
  Rest();
}

// Takes turns among equals, so that connections which come and go fast are spread as well.
bool Acceptor::Give(Socket& socket) {
  std::vector<std::pair<uint64_t, Taker*>> order;
  for (size_t i = 0; i < takers_.size(); ++i) {
    Taker* const taker = takers_[(next_ + i) % takers_.size()];
    // At the end nobody waits for room: those that are full come to their end, too.
    if (finishing_ || !taker->full()) order.emplace_back(taker->load(), taker);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [load, taker] : order) {
    if (!taker->Take(socket)) continue;
    ++taker->given_;
    const auto at = std::find(takers_.begin(), takers_.end(), taker) - takers_.begin();
    next_ = static_cast<size_t>(at) + 1;
    return true;
  }
  return false;
}

void Acceptor::Rest() {
  if (std::exchange(resting_, true)) return;
  for (const ListenerPtr& listener : listeners_) listener->Pause();
  retry_timer_ = loop_.RunAfter(kRetryInterval, [this] { Retry(); });
}

void Acceptor::Retry() {
  loop_.Cancel(retry_timer_);
  resting_ = false;
  while (!waiting_.empty() && Give(waiting_.front())) waiting_.pop_front();
  // Nobody is left, and nobody will come.
  if (finishing_ && takers_.empty()) waiting_.clear();
  if (!waiting_.empty()) return Rest();
  if (finishing_) return FinishIfDone();
  for (const ListenerPtr& listener : listeners_) listener->Resume();
}

void Acceptor::Finish(std::span<const size_t> abandoned, std::function<void()> on_finished) {
  on_finished_ = std::move(on_finished);
  if (std::exchange(finishing_, true)) return;
  for (size_t i = 0; i < listeners_.size(); ++i) {
    const bool last = std::find(abandoned.begin(), abandoned.end(), i) != abandoned.end();
    listeners_[i]->Finish(last ? Backlog::kTake : Backlog::kLeave,
                          [this, raw = listeners_[i].get()] { OnListenerFinished(raw); });
  }
  if (listeners_.empty()) loop_.Defer([this] { FinishIfDone(); });
}

void Acceptor::OnListenerFinished(const Listener* listener) {
  std::erase_if(listeners_, [listener](const ListenerPtr& l) { return l.get() == listener; });
  FinishIfDone();
}

void Acceptor::FinishIfDone() {
  if (!listeners_.empty() || !waiting_.empty() || on_finished_ == nullptr) return;
  // May destroy this.
  std::exchange(on_finished_, nullptr)();
}

}  // namespace quintet
