// Processes made in advance, each of which accepts by itself.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/models/children.h"
#include "net/models/kill_timer.h"
#include "net/models/model.h"
#include "net/models/poll_until.h"
#include "net/models/prefork_worker.h"
#include "net/restart_policy.h"
#include "net/unique_fd.h"
#include "net/worker_process.h"

namespace quintet {
namespace {

class PreforkModel final : public Model {
 public:
  explicit PreforkModel(ModelCore& core) : core_(core), places_(core.counters().places()) {}

  absl::Status Run() override;

 private:
  // Who holds it: `pid`, somebody who is to be started at `start_at`, or nobody.
  struct Place {
    pid_t pid = 0;
    TimePoint started;
    TimePoint start_at = kNever;
    RestartPolicy policy;

    bool held() const { return pid != 0 || start_at != kNever; }
  };

  absl::Status MakeAcceptBlock();
  void Start(size_t index);
  void StartDue();
  void OnEnded(pid_t pid, int status);
  void TryAgain(size_t index, std::optional<Duration> served);
  void Recount();
  void Grow();
  bool IsNeeded() const {
    return !core_.draining() || children_->size() > 0 || core_.has_waiting();
  }
  void ServeWaiting();
  TimePoint NextStart() const;
  WorkerState StateOf(size_t index) { return core_.counters().place(index).state.load(); }

  ModelCore& core_;
  std::vector<Place> places_;
  std::unique_ptr<Children> children_;
  UniqueFd busy_;  // workers make it readable when nobody is idle
  KillTimer kill_timer_;
  bool ever_ready_ = false;  // a worker was
  absl::Status result_;
};

absl::Status PreforkModel::Run() {
  auto children = Children::Create(core_.clock());
  if (!children.ok()) return children.status();
  children_ = *std::move(children);
  // The handler of SIGCHLD is there while Run() is in progress, not for as long as the server is.
  const absl::Cleanup done = [this] { children_.reset(); };
  busy_.Reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!busy_.valid()) return ErrnoStatus(errno, "eventfd");
  if (core_.model().prefork_accept == PreforkAccept::kBlocking) {
    if (absl::Status status = MakeAcceptBlock(); !status.ok()) return status;
  }
  core_.counters().server().pool = core_.model().min_workers;
  for (size_t i = 0; i < core_.model().min_workers; ++i) Start(i);

  EndSchedule& schedule = core_.schedule();
  for (schedule.Look(); IsNeeded(); schedule.Look()) {
    if (kill_timer_.Due(schedule.stage(), core_.clock().Now())) children_->Kill(SIGKILL);
    ServeWaiting();
    std::array<pollfd, 3> polled = {{
        {.fd = schedule.fd(schedule.stage()), .events = POLLIN, .revents = 0},
        {.fd = children_->fd(), .events = POLLIN, .revents = 0},
        {.fd = busy_.get(), .events = POLLIN, .revents = 0},
    }};
    const TimePoint next =
        std::min({schedule.next(), kill_timer_.next(), NextStart(), children_->next()});
    PollUntil(polled, next, core_.clock());
    if (polled[1].revents != 0 || children_->next() <= core_.clock().Now()) {
      children_->Reap([this](pid_t pid, int status) { OnEnded(pid, status); });
    }
    if (polled[2].revents != 0) {
      uint64_t count;
      [[maybe_unused]] const ssize_t bytes = ::read(busy_.get(), &count, sizeof(count));
      Grow();
    }
    StartDue();
  }
  return result_;
}

// The flag belongs to the socket and not to the descriptor, so that all workers have it. With
// workers that may leave, a time after which accept(2) returns (SO_RCVTIMEO, socket(7)).
absl::Status PreforkModel::MakeAcceptBlock() {
  const ModelOptions& model = core_.model();
  for (const int fd : core_.ListeningFds()) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) return ErrnoStatus(errno, "fcntl F_SETFL");
    if (model.max_workers == model.min_workers) continue;
    const auto us = std::chrono::ceil<std::chrono::microseconds>(model.idle_worker_timeout).count();
    const timeval timeout{.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0) {
      return ErrnoStatus(errno, "set SO_RCVTIMEO");
    }
  }
  return absl::OkStatus();
}

void PreforkModel::Start(size_t index) {
  Place& place = places_[index];
  place.start_at = kNever;
  core_.counters().place(index).state = WorkerState::kStarting;
  const pid_t pid =
      children_->Start([&] { return PreforkWorker(core_, index, busy_.get()).Run(); });
  if (pid > 0) {
    place.pid = pid;
    place.started = core_.clock().Now();
    return core_.counters().AddWorker();
  }
  ServerCounters& counters = core_.counters().server();
  counters.start_failures.fetch_add(1, std::memory_order_relaxed);
  core_.LogLimited(counters.start_log, LogLevel::kError, [&] {
    return absl::StrCat("no worker: ", std::string(ErrnoStatus(-pid, "fork").message()));
  });
  TryAgain(index, std::nullopt);
}

TimePoint PreforkModel::NextStart() const {
  TimePoint next = kNever;
  if (core_.draining()) return next;
  for (const Place& place : places_) next = std::min(next, place.start_at);
  return next;
}

void PreforkModel::StartDue() {
  if (core_.draining()) return;
  const TimePoint now = core_.clock().Now();
  for (size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].start_at <= now) Start(i);
  }
}

void PreforkModel::OnEnded(pid_t pid, int status) {
  const auto place = std::find_if(places_.begin(), places_.end(),
                                  [pid](const Place& candidate) { return candidate.pid == pid; });
  const auto index = static_cast<size_t>(place - places_.begin());
  place->pid = 0;
  core_.counters().RemoveWorker();
  WorkerPlace& shared = core_.counters().place(index);
  // One that was killed could not say so itself.
  shared.counters.connections.active = 0;
  const WorkerState state = shared.state.exchange(WorkerState::kStarting);
  if (status != 0) {
    ServerCounters& counters = core_.counters().server();
    counters.crashed.fetch_add(1, std::memory_order_relaxed);
    core_.LogLimited(counters.crash_log, LogLevel::kError, [&] {
      return absl::StrCat("process ", pid, " died: ", WorkerProcess::Describe(status));
    });
  }
  ever_ready_ = ever_ready_ || state != WorkerState::kStarting;
  if (core_.draining()) return;
  // It may have been needed after all, by somebody who found the pool full.
  if (state == WorkerState::kLeft) return Grow();
  if (state == WorkerState::kStarting) return TryAgain(index, std::nullopt);
  TryAgain(index, core_.clock().Now() - place->started);
  if (state == WorkerState::kLeaving) Recount();
}

// One that was killed on its way out may have taken itself out of the pool or not, and its place is
// in it again. Workers only ever subtract from the number, so that one that is as it was has not
// been touched meanwhile.
void PreforkModel::Recount() {
  std::atomic<uint64_t>& pool = core_.counters().server().pool;
  uint64_t before = pool.load();
  uint64_t members = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    if (!places_[i].held()) continue;
    const WorkerState state = StateOf(i);
    // The next to leave, it may be, has counted itself out already: one too many then, rather than
    // one too few.
    if (state == WorkerState::kLeaving) return;
    if (state != WorkerState::kLeft) ++members;
  }
  pool.compare_exchange_strong(before, members);
}

void PreforkModel::TryAgain(size_t index, std::optional<Duration> served) {
  Place& place = places_[index];
  const std::optional<Duration> pause = place.policy.OnDeath(served);
  if (!pause.has_value() && children_->size() == 0 && !ever_ready_) {
    result_ = absl::ResourceExhaustedError("no worker can be started; the log says why");
    core_.schedule().Drain({.timeout = Duration::zero()});
    return;
  }
  // While others serve there is hope; and what was possible once will be again, when the system has
  // processes and memory to spare: clients wait in the backlog meanwhile.
  place.start_at = AddSaturated(core_.clock().Now(), pause.value_or(RestartPolicy::kLongestPause));
}

// In the drain, where workers have left: a child for each connection that had waited for one.
void PreforkModel::ServeWaiting() {
  for (size_t i = 0; i < places_.size() && core_.has_waiting(); ++i) {
    if (places_[i].pid != 0) continue;
    Socket socket = *core_.NextWaiting();
    const pid_t pid = children_->Start([&] {
      core_.CloseInChild();
      core_.Serve(std::move(socket), i, core_.board());
      return EXIT_SUCCESS;
    });
    if (pid > 0) {
      places_[i].pid = pid;
      core_.counters().AddWorker();
      continue;
    }
    core_.counters().server().start_failures.fetch_add(1, std::memory_order_relaxed);
    core_.Refuse(std::move(socket), ModelCore::Why::kNoWorker);
  }
}

// By one, unless somebody is idle or will soon be.
void PreforkModel::Grow() {
  std::atomic<uint64_t>& pool = core_.counters().server().pool;
  if (core_.draining() || pool.load() >= places_.size()) return;
  for (size_t i = 0; i < places_.size(); ++i) {
    const bool there = places_[i].pid != 0;
    if (there && (StateOf(i) == WorkerState::kIdle || StateOf(i) == WorkerState::kStarting)) return;
  }
  const auto free = std::find_if(places_.begin(), places_.end(),
                                 [](const Place& place) { return !place.held(); });
  // All places may be held still by those that are leaving: then again when they have.
  if (free == places_.end()) return;
  pool.fetch_add(1);
  free->policy = RestartPolicy();
  Start(static_cast<size_t>(free - places_.begin()));
}

}  // namespace

std::unique_ptr<Model> CreatePreforkModel(ModelCore& core) {
  return std::make_unique<PreforkModel>(core);
}

}  // namespace quintet
