#include "net/models/worker_per_connection.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/models/poll_until.h"

namespace quintet {

WorkerPerConnection::WorkerPerConnection(ModelCore& core, ConnectionWorkers& workers)
    : core_(core),
      workers_(workers),
      acceptor_(core.ListeningFds(), core.counters().place(0).counters, core.clock(), core.log()) {
  for (size_t i = core.counters().places(); i > 0; --i) free_.push_back(i - 1);
}

void WorkerPerConnection::Run() {
  EndSchedule& schedule = core_.schedule();
  std::vector<pollfd> polled;
  for (schedule.Look(); IsNeeded(); schedule.Look()) {
    if (kill_timer_.Due(schedule.stage(), core_.clock().Now())) workers_.Kill();
    while (!at_cap() && core_.has_waiting()) OnAccept(*core_.NextWaiting());
    polled.clear();
    polled.push_back({.fd = schedule.fd(schedule.stage()), .events = POLLIN, .revents = 0});
    polled.push_back({.fd = workers_.fd(), .events = POLLIN, .revents = 0});
    if (Accepts()) acceptor_.AppendTo(polled);
    PollUntil(polled, NextDeadline(), core_.clock());
    if (polled[1].revents != 0 || workers_.next() <= core_.clock().Now()) {
      workers_.Collect([this](size_t place) { OnEnded(place); });
    }
    if (Accepts()) {
      if (auto socket = acceptor_.AcceptFrom(polled)) OnAccept(*std::move(socket));
    }
  }
}

bool WorkerPerConnection::Accepts() const {
  return !core_.draining() && (!at_cap() || core_.model().at_cap == AtCap::kRefuse);
}

TimePoint WorkerPerConnection::NextDeadline() {
  const TimePoint next = std::min({core_.schedule().next(), kill_timer_.next(), workers_.next()});
  return Accepts() ? std::min(next, acceptor_.rests_until()) : next;
}

void WorkerPerConnection::OnAccept(Socket socket) {
  if (at_cap()) return core_.Refuse(std::move(socket), ModelCore::Why::kCap);
  const size_t place = free_.back();
  if (absl::Status status = workers_.Start(place, socket); !status.ok()) {
    ServerCounters& counters = core_.counters().server();
    counters.start_failures.fetch_add(1, std::memory_order_relaxed);
    core_.LogLimited(counters.start_log, LogLevel::kError, [&] {
      return absl::StrCat("a client is refused: ", std::string(status.message()));
    });
    return core_.Refuse(std::move(socket), ModelCore::Why::kNoWorker);
  }
  free_.pop_back();
  core_.counters().AddWorker();
}

void WorkerPerConnection::OnEnded(size_t place) {
  free_.push_back(place);
  core_.counters().RemoveWorker();
  // One that was killed could not say so itself.
  core_.counters().place(place).counters.connections.active = 0;
}

}  // namespace quintet
