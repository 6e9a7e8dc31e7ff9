#include "net/process_generation.h"

#include <signal.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/worker_main.h"

namespace quintet {

ProcessGeneration::ProcessGeneration(EventLoop& loop, GenerationSetup setup, Events events)
    : loop_(loop), setup_(std::move(setup)), events_(std::move(events)) {}

ProcessGeneration::~ProcessGeneration() {
  for (const auto& place : places_) loop_.Cancel(place->timer);
  for (const Leaver& leaver : leavers_) loop_.Cancel(leaver.kill_timer);
  loop_.Cancel(delay_timer_);
  loop_.Cancel(kill_timer_);
}

bool ProcessGeneration::hands_off() const {
  return setup_.server.policy == ListenPolicy::kHandoff && places_.size() > 1;
}

void ProcessGeneration::Log(LogLevel level, const std::string& text) const {
  if (setup_.log) setup_.log(level, text);
}

// ---- Starting ----

absl::Status ProcessGeneration::Start() {
  for (size_t i = 0; i < ShardCount(setup_.server); ++i) {
    places_.push_back(std::make_unique<Place>());
    places_.back()->index = i;
  }
  for (const auto& place : places_) {
    if (absl::Status status = StartWorker(*place); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ProcessGeneration::StartWorker(Place& place) {
  std::vector<int> kept = setup_.kept_descriptors;
  for (const auto& [fd, name] : setup_.sockets->descriptors()) kept.push_back(fd);
  std::shared_ptr<WorkerCounters[]> counters = place.counters.Add();
  if (counters == nullptr) {
    return absl::ResourceExhaustedError("no memory for the counters of a worker");
  }
  auto process = WorkerProcess::Start(
      loop_,
      [this, &place, &counters](Socket channel) {
        return RunWorker(std::move(channel), place.index, setup_, counters);
      },
      kept,
      {.on_message = [this, &place](WorkerMessage& message) { OnMessage(place, message); },
       .on_ended = [this, &place](int status) { OnWorkerEnded(place, status); }});
  if (!process.ok()) {
    place.counters.Retire(counters.get());
    return process.status();
  }
  place.process = *std::move(process);
  place.process_counters = std::move(counters);
  place.failure.clear();
  place.timer = loop_.RunAfter(setup_.start_timeout, [this, &place] { OnStartTimeout(place); });
  return absl::OkStatus();
}

void ProcessGeneration::OnStartTimeout(Place& place) {
  place.failure = "was not ready in time";
  place.process->Kill(SIGKILL);
}

void ProcessGeneration::OnMessage(Place& place, WorkerMessage& message) {
  switch (message.type) {
    case WorkerMessage::Type::kReady:
      return OnReady(place, std::move(message.text));
    case WorkerMessage::Type::kFailed:
      place.failure = std::move(message.text);
      return;
    case WorkerMessage::Type::kLeft:
      return events_.left();
    case WorkerMessage::Type::kAskLeave:
      return Replace(place);
    case WorkerMessage::Type::kAcceptFrom:
    case WorkerMessage::Type::kAdopt:
    case WorkerMessage::Type::kLook:
    case WorkerMessage::Type::kDrain:
      return;
  }
}

void ProcessGeneration::OnReady(Place& place, std::string backend) {
  loop_.Cancel(place.timer);
  place.ready_at = loop_.now();
  backend_ = std::move(backend);
  if (drain_.has_value()) SendDrain(*place.process);
  if (!accepting_) return;
  if (place.tried) {
    Log(LogLevel::kInfo,
        absl::StrCat("worker ", place.index, " is serving (pid ", place.process->pid(), ")"));
  }
  if (hands_off()) {
    place.taker = std::make_unique<ProcessTaker>(
        *place.process, place.process_counters[0], setup_.server.max_connections_per_shard,
        setup_.sockets->descriptors().size() + setup_.kept_descriptors.size());
    if (acceptor_ != nullptr) acceptor_->Add(place.taker.get());
  }
  if (serving_) Assign();
  OnTried(place);
}

// Tells that the generation is ready, as soon as it can be said.
void ProcessGeneration::OnTried(Place& place) {
  place.tried = true;
  const auto done = [this](const auto& each) { return serving_ ? each->tried : each->serves(); };
  if (told_ready_ || !std::all_of(places_.begin(), places_.end(), done)) return;
  if (std::none_of(places_.begin(), places_.end(), [](const auto& p) { return p->serves(); })) {
    return;
  }
  told_ready_ = true;
  events_.ready();
}

// ---- Serving ----

absl::Status ProcessGeneration::Prepare() {
  if (!hands_off()) return absl::OkStatus();
  acceptor_ = std::make_unique<Acceptor>(loop_);
  for (const auto& place : places_) {
    if (place->taker != nullptr) acceptor_->Add(place->taker.get());
  }
  // It looks at the sockets in the next wait of the loop.
  return acceptor_->Start(*setup_.sockets);
}

void ProcessGeneration::Serve() {
  serving_ = true;
  Assign();
  for (const auto& place : places_) {
    if (std::exchange(place->asked_to_leave, false)) Replace(*place);
  }
}

void ProcessGeneration::Assign() {
  if (hands_off() || !accepting_) return;
  std::vector<Place*> serving;
  for (const auto& place : places_) {
    if (place->serves()) serving.push_back(place.get());
  }
  if (serving.empty()) return;
  std::vector<std::vector<size_t>> wanted(places_.size());
  for (const auto& place : places_) {
    const Place& owner = place->serves() ? *place : *serving[place->index % serving.size()];
    std::vector<size_t>& sockets = wanted[owner.index];
    for (const size_t socket : setup_.sockets->SocketsOf(place->index)) {
      if (std::find(sockets.begin(), sockets.end(), socket) == sockets.end()) {
        sockets.push_back(socket);
      }
    }
  }
  for (Place* const place : serving) {
    if (place->accepts_from == wanted[place->index]) continue;
    place->accepts_from = wanted[place->index];
    place->process->channel().Send(
        {.type = WorkerMessage::Type::kAcceptFrom, .sockets = place->accepts_from});
  }
}

void ProcessGeneration::Look() {
  if (!accepting_) return;
  for (const auto& place : places_) {
    if (place->serves()) place->process->channel().Send({.type = WorkerMessage::Type::kLook});
  }
}

void ProcessGeneration::OnWorkerEnded(Place& place, int status) {
  const std::unique_ptr<WorkerProcess> process = std::move(place.process);
  loop_.Cancel(place.timer);
  if (place.taker != nullptr && acceptor_ != nullptr) acceptor_->Remove(place.taker.get());
  place.taker.reset();
  place.counters.Retire(std::exchange(place.process_counters, nullptr).get());
  place.accepts_from.clear();
  const std::optional<TimePoint> ready_at = std::exchange(place.ready_at, std::nullopt);
  if (!accepting_) {
    LogDeathInDrain(place, *process, status);
    // Those who share its sockets: it may have been killed with a wake-up, before it could say so.
    events_.left();
    return EndIfDrained();
  }

  const std::string how = WorkerProcess::Describe(status);
  const std::string why = place.failure.empty() ? how : place.failure + " (" + how + ")";
  Log(LogLevel::kError, absl::StrCat("worker ", place.index, " (pid ", process->pid(), ") ",
                                     ready_at.has_value() ? "died: " : "failed to start: ", why));
  if (!serving_) {
    events_.failed(absl::UnavailableError(absl::StrCat("worker ", place.index, ": ", why)));
    return;
  }
  Assign();
  events_.left();
  if (drain_.has_value()) return EndIfDrained();
  std::optional<Duration> served;
  if (ready_at.has_value()) served = loop_.now() - *ready_at;
  Restart(place, served);
}

void ProcessGeneration::StartOrRestart(Place& place) {
  const absl::Status status = StartWorker(place);
  if (status.ok()) return;
  Log(LogLevel::kError, absl::StrCat("worker ", place.index, ": ", std::string(status.message())));
  Restart(place, std::nullopt);
}

void ProcessGeneration::Restart(Place& place, std::optional<Duration> served) {
  const std::optional<Duration> pause = place.policy.OnDeath(served);
  if (!pause.has_value()) {
    place.given_up = true;
    Log(LogLevel::kError, absl::StrCat("worker ", place.index, " is given up: it failed to start ",
                                       RestartPolicy::kMaxFailedStarts, " times in a row"));
    if (std::all_of(places_.begin(), places_.end(), [](const auto& p) { return p->given_up; })) {
      events_.failed(absl::UnavailableError("no worker could be started"));
      return;
    }
  } else {
    // From a timer also where there is no pause: not from inside the callback of a watch.
    place.timer = loop_.RunAfter(*pause, [this, &place] { StartOrRestart(place); });
  }
  OnTried(place);
}

// Its successor starts when its connections are still being served.
void ProcessGeneration::Replace(Place& place) {
  if (drain_.has_value() || !place.serves()) return;
  if (!serving_) {
    if (std::exchange(place.asked_to_leave, true)) return;
    return Log(LogLevel::kInfo, absl::StrCat("worker ", place.index, " (pid ", place.process->pid(),
                                             ") was asked to leave: it will be replaced when all ",
                                             "workers are ready"));
  }
  Log(LogLevel::kInfo, absl::StrCat("worker ", place.index, " (pid ", place.process->pid(),
                                    ") was asked to leave: replacing it"));
  if (place.taker != nullptr) acceptor_->Remove(place.taker.get());
  place.taker.reset();
  Leaver& leaver = leavers_.emplace_back();
  leaver.place = &place;
  leaver.process = std::move(place.process);
  leaver.counters = std::move(place.process_counters);
  WorkerProcess* const process = leaver.process.get();
  process->set_events(
      {.on_message =
           [this](WorkerMessage& message) {
             if (message.type == WorkerMessage::Type::kLeft) events_.left();
           },
       .on_ended = [this, process](int status) { OnLeaverEnded(process, status); }});
  place.ready_at.reset();
  place.accepts_from.clear();
  Assign();
  const DrainPlan plan{.timeout = setup_.server.drain_timeout, .stopping = false};
  process->channel().Send({.type = WorkerMessage::Type::kDrain, .plan = plan});
  if (plan.timeout != DrainPlan::kNoTimeout) {
    const TimePoint end = AddSaturated(loop_.clock().Now(), plan.timeout);
    leaver.kill_timer =
        loop_.RunAt(AddSaturated(end, kKillGrace), [this, process] { Kill(*process); });
  }
  place.timer = loop_.RunAfter(Duration::zero(), [this, &place] { StartOrRestart(place); });
}

void ProcessGeneration::OnLeaverEnded(const WorkerProcess* process, int status) {
  events_.left();
  const auto leaver = std::find_if(leavers_.begin(), leavers_.end(), [process](const Leaver& l) {
    return l.process.get() == process;
  });
  LogDeathInDrain(*leaver->place, *process, status);
  loop_.Cancel(leaver->kill_timer);
  leaver->place->counters.Retire(leaver->counters.get());
  leavers_.erase(leaver);
  if (drain_.has_value()) EndIfDrained();
}

// ---- Draining ----

void ProcessGeneration::Drain(const DrainPlan& plan) {
  const TimePoint now = loop_.clock().Now();
  const Duration delay = plan.stopping ? plan.delay : Duration::zero();
  deadline_.Add(plan, now);
  for (const auto& place : places_) {
    // Those that wait for a restart are not started any more.
    if (place->process == nullptr) loop_.Cancel(place->timer);
  }
  ArmKill();
  if (accepting_ && delay > Duration::zero()) {
    const TimePoint end = AddSaturated(now, delay);
    if (delay_end_.has_value() && *delay_end_ <= end) return;
    delay_end_ = end;
    drain_ = plan;
    loop_.Cancel(delay_timer_);
    delay_timer_ = loop_.RunAt(end, [this] { EndDelay(); });
    return SendDrains();
  }
  loop_.Cancel(delay_timer_);
  drain_ = plan;
  // For one that drains already the delay is a part of the time it is given.
  drain_->timeout = std::max(plan.timeout, delay);
  EndDelay();
}

// What the acceptor took goes to a worker before the workers are told.
void ProcessGeneration::EndDelay() {
  accepting_ = false;
  drain_->delay = Duration::zero();
  // The workers have sockets of their own, and give them up when they are told. Whoever is the last
  // to close one serves those who wait there: not this process, so it goes first.
  std::vector<size_t> abandoned;
  if (setup_.sockets != nullptr) abandoned = setup_.sockets->AbandonedBy(*drain_);
  setup_.sockets.reset();
  // No worker would take from it any more: who waits in the kernel is for others that listen there.
  if (drain_->timeout <= Duration::zero()) acceptor_.reset();
  if (acceptor_ == nullptr || acceptor_finished_) return SendDrains();
  acceptor_->Finish(abandoned, [this] {
    acceptor_finished_ = true;
    SendDrains();
  });
}

void ProcessGeneration::SendDrains() {
  const bool at_once = !accepting_ && drain_->timeout <= Duration::zero();
  for (const auto& place : places_) {
    if (place->serves()) {
      SendDrain(*place->process);
    } else if (place->process != nullptr && at_once) {
      place->process->Kill(SIGKILL);
    }
  }
  for (Leaver& leaver : leavers_) SendDrain(*leaver.process);
  EndIfDrained();
}

// A worker that does not come to its end by itself, because a handler never returns, say.
void ProcessGeneration::ArmKill() {
  if (deadline_.at() == kNever) return;
  loop_.Cancel(kill_timer_);
  kill_timer_ = loop_.RunAt(AddSaturated(deadline_.at(), kKillGrace), [this] {
    for (const auto& place : places_) {
      if (place->process != nullptr) Kill(*place->process);
    }
    for (const Leaver& leaver : leavers_) Kill(*leaver.process);
  });
}

void ProcessGeneration::Kill(WorkerProcess& process) {
  Log(LogLevel::kError, absl::StrCat("process ", process.pid(), " does not end: killing it"));
  process.Kill(SIGKILL);
}

void ProcessGeneration::LogDeathInDrain(const Place& place, const WorkerProcess& process,
                                        int status) {
  if (status == 0) return;
  Log(LogLevel::kError, absl::StrCat("worker ", place.index, " (pid ", process.pid(),
                                     ") died while it drained: ", WorkerProcess::Describe(status)));
}

void ProcessGeneration::SendDrain(WorkerProcess& process) {
  DrainPlan plan = *drain_;
  // They are told of the end of the delay, too: one that ended it by its own clock might be gone
  // before the last connection that the acceptor gives away. Theirs is for when nobody tells them.
  if (plan.delay > Duration::zero()) {
    plan.delay = plan.delay + kKillGrace;
  } else if (plan.timeout > Duration::zero()) {
    plan.timeout = deadline_.Left(loop_.clock().Now());
  }
  process.channel().Send({.type = WorkerMessage::Type::kDrain, .plan = plan});
}

void ProcessGeneration::EndIfDrained() {
  const bool alone = std::all_of(places_.begin(), places_.end(),
                                 [](const auto& place) { return place->process == nullptr; });
  if (!alone || !leavers_.empty()) return;
  // Not from inside Drain(), and once.
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) events_.ended();
  });
}

std::vector<WorkerStats> ProcessGeneration::Stats() const {
  std::vector<WorkerStats> stats;
  for (const auto& place : places_) {
    stats.push_back({.worker = place->index,
                     .pid = place->process != nullptr ? place->process->pid() : 0,
                     .shard = place->counters.Sum()});
  }
  return stats;
}

}  // namespace quintet
