#include "net/supervisor.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace quintet {
namespace {

// When a worker has gone, those who share its sockets look again after these times. At once is not
// enough: a process that was killed leaves its io_uring to be taken apart in the background, and
// until that has happened its accept may still be the one that is woken.
constexpr Duration kLooks[] = {Duration::zero(), std::chrono::milliseconds(20),
                               std::chrono::milliseconds(100), std::chrono::milliseconds(500)};

ListenSocketsOptions SocketsFor(const ServerOptions& server) {
  return {.addresses = server.addresses,
          .backlog = server.backlog,
          .policy = server.policy,
          .steer_by_cpu = server.steer_by_cpu,
          .workers = ShardCount(server)};
}

DrainPlan EndPlan(const ServerOptions& server) {
  return {.delay = server.drain_delay, .timeout = server.drain_timeout};
}

DrainPlan ReplacePlan(const ServerOptions& server) {
  return {.timeout = server.drain_timeout, .stopping = false};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create(SupervisorOptions options,
                                                               Load load) {
  std::unique_ptr<Supervisor> supervisor(new Supervisor(std::move(options), std::move(load)));
  if (absl::Status status = supervisor->SetUp(); !status.ok()) return status;
  return supervisor;
}

Supervisor::Supervisor(SupervisorOptions options, Load load)
    : options_(std::move(options)), load_(std::move(load)) {}

Supervisor::~Supervisor() {
  // Workers first: they use the loop.
  successor_.reset();
  starting_.reset();
  serving_.reset();
  leaving_.clear();
}

absl::Status Supervisor::SetUp() {
  auto service = load_();
  if (!service.ok()) return service.status();
  service_ = *std::move(service);
  auto sockets =
      ListenSockets::Open(SocketsFor(service_.server), std::exchange(options_.inherited, {}));
  if (!sockets.ok()) return sockets.status();
  sockets_ = *std::move(sockets);
  addresses_ = sockets_->addresses();
  // A handful of descriptors: the simplest that works, and nothing of it lives on in the kernel for
  // forked children.
  EventLoopOptions options;
  options.backend.kind = BackendKind::kPoll;
  options.backend.log = options_.log;
  auto loop = EventLoop::Create(options);
  if (!loop.ok()) return loop.status();
  loop_ = *std::move(loop);
  return WatchSignals();
}

absl::Status Supervisor::WatchSignals() {
  for (const int signo : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) {
    const absl::Status status = loop_->WatchSignal(signo, [this](int s) { OnSignal(s); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void Supervisor::OnSignal(int signo) {
  switch (signo) {
    case SIGHUP:
      return OnReload();
    case SIGUSR1:
      return LogStats();
    case SIGUSR2:
      return OnUpgrade();
    case SIGQUIT:
      return End({.timeout = DrainPlan::kNoTimeout});
    default:
      // Whoever asks twice does not want to wait.
      if (state_ == State::kEnding) return End({.timeout = Duration::zero()});
      return End(EndPlan(service_.server));
  }
}

void Supervisor::Log(LogLevel level, const std::string& text) const {
  if (options_.log) options_.log(level, text);
}

void Supervisor::LogShortfalls(const std::vector<std::string>& known) const {
  for (const std::string& line : sockets_->Shortfalls()) {
    if (std::find(known.begin(), known.end(), line) == known.end()) Log(LogLevel::kWarning, line);
  }
}

// ---- Running ----

absl::Status Supervisor::Run() {
  serving_ = MakeGeneration(service_, sockets_);
  absl::Status status = serving_->Start();
  // A successor's serve when all are ready: until then its predecessor does.
  if (status.ok() && sockets_->listens()) status = Serve(*serving_, *sockets_);
  if (!status.ok()) {
    serving_.reset();
    return status;
  }
  loop_->Run();
  return result_;
}

// Listening is the last that can fail: whom the kernel gives to a new socket must be served.
absl::Status Supervisor::Serve(Generation& generation, ListenSockets& sockets) {
  absl::Status status = generation.Prepare();
  if (status.ok()) status = sockets.Listen();
  if (status.ok()) generation.Serve();
  return status;
}

void Supervisor::Stop() {
  loop_->Post([this] { OnSignal(SIGTERM); });
}

void Supervisor::Reload() {
  loop_->Post([this] { OnReload(); });
}

std::unique_ptr<Generation> Supervisor::MakeGeneration(const Service& service,
                                                       std::shared_ptr<ListenSockets> sockets) {
  GenerationSetup setup{.server = service.server,
                        .sessions = service.sessions,
                        .start_worker = service.start_worker,
                        .sockets = std::move(sockets),
                        .start_timeout = service.start_timeout,
                        .kept_descriptors = options_.kept_descriptors,
                        .log = options_.log};
  // How the events know whose they are; set before the first can come.
  auto self = std::make_shared<Generation*>(nullptr);
  auto generation = CreateGeneration(
      service.kind, *loop_, std::move(setup),
      {.ready = [this, self] { OnReady(*self); },
       .failed = [this, self](absl::Status status) { OnFailed(*self, std::move(status)); },
       .left = [this] { LookAgain(); },
       .ended = [this, self] { OnEnded(*self); }});
  *self = generation.get();
  return generation;
}

void Supervisor::OnReady(Generation* generation) {
  if (generation == serving_.get()) {
    if (state_ != State::kStarting) return;
    if (!sockets_->listens()) {
      const absl::Status status = Serve(*serving_, *sockets_);
      if (!status.ok()) return OnFailed(generation, status);
    }
    state_ = State::kServing;
    LogShortfalls({});
    if (options_.on_serving) options_.on_serving();
    TellPredecessor();
    if (std::exchange(reload_again_, false)) OnReload();
    return;
  }
  if (generation != starting_.get()) return;
  const absl::Status status = Serve(*starting_, *next_sockets_);
  if (!status.ok()) return EndReload(status);
  DrainPlan plan = ReplacePlan(service_.server);
  plan.abandoned = sockets_->NotIn(*next_sockets_);
  service_ = std::move(next_service_);
  const std::vector<std::string> shortfalls = sockets_->Shortfalls();
  sockets_ = std::move(next_sockets_);
  addresses_ = sockets_->addresses();
  LogShortfalls(shortfalls);
  std::unique_ptr<Generation> old = std::exchange(serving_, std::move(starting_));
  Retire(std::move(old), plan);
  EndReload(absl::OkStatus());
}

void Supervisor::TellPredecessor() {
  const absl::Status status = options_.predecessor.Ready(*loop_, [this] { LookAgain(); });
  if (!status.ok()) Log(LogLevel::kWarning, std::string(status.message()));
  // Where there is one, it gives them up.
  sockets_->OwnFiles();
}

void Supervisor::OnFailed(Generation* generation, absl::Status status) {
  if (generation == starting_.get()) return EndReload(status);
  if (generation != serving_.get() || state_ == State::kEnding) return OnEnded(generation);
  Log(LogLevel::kError, absl::StrCat("giving up: ", status.message()));
  result_ = std::move(status);
  loop_->Stop();
}

void Supervisor::OnEnded(Generation* generation) {
  const auto same = [generation](const auto& each) { return each.get() == generation; };
  const auto gone = std::find_if(leaving_.begin(), leaving_.end(), same);
  if (gone == leaving_.end()) return;
  leaving_.erase(gone);
  if (state_ == State::kEnding) return FinishIfEnded();
  LookAgain();
  if (leaving_.empty()) Log(LogLevel::kInfo, "the old workers have ended");
}

void Supervisor::Retire(std::unique_ptr<Generation> generation, const DrainPlan& plan) {
  leaving_.push_back(std::move(generation));
  leaving_.back()->Drain(plan);
}

// Somebody has stopped accepting from a socket that those who serve accept from, too, and may have
// been woken for a connection that he did not take. Looks that are still to come for those who left
// before him are not missed: his own, of which the first is at once, come in their place, so that
// each is made up for before twice its time has passed, however many leave.
void Supervisor::LookAgain() {
  if (succeeded_ != nullptr) return succeeded_->TellLeft();
  for (const TimerHandle timer : std::exchange(look_timers_, {})) loop_->Cancel(timer);
  for (const Duration after : kLooks) {
    look_timers_.push_back(loop_->RunAfter(after, [this] {
      if (serving_ != nullptr) serving_->Look();
      // Those that have been told of the end accept until its delay is over.
      for (const auto& generation : leaving_) generation->Look();
    }));
  }
}

// ---- Reloads ----

void Supervisor::OnReload() {
  if (state_ == State::kEnding) {
    return Log(LogLevel::kWarning, "reload refused: the server is ending");
  }
  if (successor_ != nullptr) {
    return Log(LogLevel::kWarning, "reload refused: a successor is being started");
  }
  if (starting_ != nullptr || state_ == State::kStarting) {
    reload_again_ = true;
    return;
  }
  if (options_.on_reloading) options_.on_reloading();
  if (absl::Status status = BeginReload(); !status.ok()) EndReload(status);
}

absl::Status Supervisor::BeginReload() {
  auto service = load_();
  if (!service.ok()) return service.status();
  if (service->kind != service_.kind) {
    return absl::InvalidArgumentError(
        "the kind of the workers cannot be changed while they run; restart");
  }
  auto sockets = sockets_->Change(SocketsFor(service->server));
  if (!sockets.ok()) return sockets.status();
  next_service_ = *std::move(service);
  next_sockets_ = *std::move(sockets);
  starting_ = MakeGeneration(next_service_, next_sockets_);
  return starting_->Start();
}

void Supervisor::EndReload(const absl::Status& status) {
  starting_.reset();
  next_service_ = {};
  next_sockets_.reset();
  if (status.ok()) {
    Log(LogLevel::kInfo, "reloaded");
  } else {
    Log(LogLevel::kError, absl::StrCat("reload refused: ", status.message()));
  }
  if (options_.on_reloaded) options_.on_reloaded(status.ok());
  if (std::exchange(reload_again_, false)) OnReload();
}

// ---- Upgrades ----

void Supervisor::OnUpgrade() {
  const auto refuse = [this](const char* why) {
    Log(LogLevel::kWarning, absl::StrCat("no successor is started: ", why));
  };
  if (state_ == State::kEnding) return refuse("the server is ending");
  if (options_.program.empty()) return refuse("no program was named");
  // With it everything else in its namespace ends (pid_namespaces(7)).
  if (::getpid() == 1) return refuse("this is process 1, which must stay");
  if (successor_ != nullptr) return refuse("one is being started already");
  if (starting_ != nullptr || state_ == State::kStarting) return refuse("a reload is on");
  auto successor = Successor::Start(
      *loop_, options_.program, *sockets_, options_.program_environment,
      {.on_ready = [this](pid_t pid) { OnSuccessorReady(pid); },
       .on_failed = [this] { OnSuccessorFailed("has ended before it was ready"); }});
  if (!successor.ok()) return refuse(std::string(successor.status().message()).c_str());
  successor_ = *std::move(successor);
  Log(LogLevel::kInfo, "starting a successor");
  successor_timer_ = loop_->RunAfter(service_.start_timeout, [this] {
    successor_->Kill(SIGKILL);
    // Its end is not waited for: before that, it could still be read that it is ready.
    OnSuccessorFailed("was not ready in time");
  });
}

void Supervisor::OnSuccessorFailed(const char* how) {
  EndSuccessor();
  Log(LogLevel::kError, absl::StrCat("the successor ", how, "; going on"));
  // Its workers may have accepted already.
  LookAgain();
}

void Supervisor::EndSuccessor() {
  successor_.reset();
  loop_->Cancel(successor_timer_);
}

void Supervisor::OnSuccessorReady(pid_t pid) {
  loop_->Cancel(successor_timer_);
  // It is to learn who leaves, and, when this one is gone, that all have.
  succeeded_ = std::move(successor_);
  Log(LogLevel::kInfo, absl::StrCat("successor ", pid, " is ready"));
  sockets_->DisownFiles();
  if (options_.on_succeeded) options_.on_succeeded(pid);
  DrainPlan plan = ReplacePlan(service_.server);
  // It may have been configured otherwise, and have closed any of them.
  plan.abandoned = sockets_->All();
  End(plan);
}

// ---- The end ----

void Supervisor::End(const DrainPlan& plan) {
  if (state_ != State::kEnding) {
    state_ = State::kEnding;
    if (plan.stopping && options_.on_stopping) options_.on_stopping();
    EndSuccessor();
    starting_.reset();
    next_sockets_.reset();
    // Those that wait to serve have nothing to drain.
    if (!sockets_->listens()) serving_.reset();
    sockets_.reset();
    if (serving_ != nullptr) leaving_.push_back(std::move(serving_));
  }
  for (const auto& generation : leaving_) generation->Drain(plan);
  FinishIfEnded();
}

void Supervisor::FinishIfEnded() {
  if (leaving_.empty()) loop_->Stop();
}

// ---- What can be seen ----

std::string Supervisor::backend() const {
  return serving_ != nullptr ? serving_->backend() : std::string();
}

std::vector<WorkerStats> Supervisor::Stats() const {
  return serving_ != nullptr ? serving_->Stats() : std::vector<WorkerStats>();
}

void Supervisor::LogStats() const {
  const auto log = [this](const WorkerStats& worker, const char* state) {
    const ShardStats& shard = worker.shard;
    Log(LogLevel::kInfo,
        absl::StrCat("worker ", worker.worker, " (pid ", worker.pid, state, "): accepted ",
                     shard.accepted, ", active ", shard.active, ", bytes in ", shard.bytes_in,
                     ", bytes out ", shard.bytes_out, ", refused ", shard.refused,
                     ", empty accepts ", shard.empty_accepts, ", stalls ", shard.stalls,
                     ", refused PROXY headers ", shard.proxy_errors, ", accept pauses ",
                     shard.accept_pauses));
  };
  for (const WorkerStats& worker : Stats()) log(worker, "");
  for (const auto& generation : leaving_) {
    for (const WorkerStats& worker : generation->Stats()) {
      if (worker.pid != 0) log(worker, ", draining");  // others have ended
    }
  }
}

}  // namespace quintet
