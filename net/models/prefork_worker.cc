#include "net/models/prefork_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "net/models/poll_until.h"

namespace quintet {

PreforkWorker::PreforkWorker(ModelCore& core, size_t place, int busy_fd)
    : core_(core),
      place_(place),
      busy_fd_(busy_fd),
      own_(core.counters().place(place)),
      blocks_in_accept_(core.model().prefork_accept == PreforkAccept::kBlocking),
      acceptor_(core.ListeningFds(place), own_.counters, core.clock(), core.log()),
      idle_since_(core.clock().Now()) {}

int PreforkWorker::Run() {
  // Those of the others, with PreforkAccept::kReusePort.
  core_.CloseInChild(acceptor_.listening());
  if (!blocks_in_accept_) {
    std::vector<int> fds = acceptor_.listening();
    fds.push_back(core_.board().fd(EndStage::kServing));
    auto wait = AcceptWait::Create(core_.model().prefork_accept, std::move(fds));
    if (!wait.ok()) {
      core_.Log(LogLevel::kError, wait.status().ToString());
      return EXIT_FAILURE;
    }
    wait_ = *std::move(wait);
  }
  own_.state = WorkerState::kIdle;
  while (!draining()) {
    if (auto socket = NextConnection()) {
      own_.state = WorkerState::kBusy;
      TellIfNobodyIsIdle();
      core_.Serve(*std::move(socket), place_, core_.board());
      idle_since_ = core_.clock().Now();
      own_.state = WorkerState::kIdle;
    } else if (acceptor_.resting() || acceptor_.error() == EINVAL) {
      Rest();
    } else if (LeavePool()) {
      break;
    }
  }
  return EXIT_SUCCESS;
}

std::optional<Socket> PreforkWorker::NextConnection() {
  // The end comes as EINVAL, since the parent shuts the socket down; EAGAIN says that SO_RCVTIMEO
  // has passed.
  if (blocks_in_accept_) return acceptor_.Accept(acceptor_.listening().front());
  const ModelOptions& model = core_.model();
  const bool may_leave = core_.counters().server().pool.load() > model.min_workers;
  const TimePoint leave_at = AddSaturated(idle_since_, model.idle_worker_timeout);
  return acceptor_.AcceptFrom(wait_->Wait(may_leave ? leave_at : kNever, core_.clock()));
}

bool PreforkWorker::IsAnybodyIdle() const {
  ModelCounters& counters = core_.counters();
  for (size_t i = 0; i < counters.places(); ++i) {
    if (counters.place(i).state.load() == WorkerState::kIdle) return true;
  }
  return false;
}

// Who takes a connection says first that it is busy and looks then, as does who leaves: of two who
// do so at once, one at least sees the other.
void PreforkWorker::TellIfNobodyIsIdle() {
  if (core_.counters().server().pool.load() >= core_.model().max_workers) return;
  if (IsAnybodyIdle()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(busy_fd_, &one, sizeof(one));
}

bool PreforkWorker::LeavePool() {
  const ModelOptions& model = core_.model();
  const TimePoint now = core_.clock().Now();
  if (now < AddSaturated(idle_since_, model.idle_worker_timeout)) return false;
  own_.state = WorkerState::kLeaving;
  std::atomic<uint64_t>& pool = core_.counters().server().pool;
  uint64_t size = pool.load();
  // Of several that leave at once each takes one.
  while (size > model.min_workers && IsAnybodyIdle()) {
    if (!pool.compare_exchange_weak(size, size - 1)) continue;
    own_.state = WorkerState::kLeft;
    return true;
  }
  // Looks again after as long a time.
  idle_since_ = now;
  own_.state = WorkerState::kIdle;
  return false;
}

void PreforkWorker::Rest() {
  std::array<pollfd, 1> end = {
      {{.fd = core_.board().fd(EndStage::kServing), .events = POLLIN, .revents = 0}}};
  PollUntil(end, acceptor_.rests_until(), core_.clock());
}

}  // namespace quintet
