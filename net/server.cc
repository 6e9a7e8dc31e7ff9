#include "net/server.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/acceptor.h"
#include "net/cores.h"
#include "net/drain_deadline.h"
#include "net/errno_status.h"
#include "net/listen_sockets.h"
#include "net/shard.h"
#include "net/shard_taker.h"
#include "net/socket.h"
#include "net/worker_counters.h"

namespace quintet {

size_t ShardCount(const ServerOptions& options) {
  return options.shards > 0 ? static_cast<size_t>(options.shards) : UsableCores().size();
}

ShardStats ReadStats(const WorkerCounters& counters) {
  const auto read = [](const std::atomic<uint64_t>& n) {
    return n.load(std::memory_order_relaxed);
  };
  const ConnectionCounters& connections = counters.connections;
  ShardStats stats{.accepted = read(connections.opened) + read(connections.refused),
                   .active = read(connections.active),
                   .bytes_in = read(connections.bytes_in),
                   .bytes_out = read(connections.bytes_out),
                   .refused = read(connections.refused),
                   .proxy_errors = read(counters.proxy_errors),
                   .accept_pauses = read(counters.accept_pauses),
                   .empty_accepts = read(counters.empty_accepts),
                   .stalls = read(counters.gauges.stalls),
                   .longest_turn = Duration(read(counters.gauges.longest_ns))};
  for (size_t i = 0; i < LoopGauges::kBuckets; ++i) {
    stats.busy_turns[i] = read(counters.gauges.busy_turns[i]);
  }
  return stats;
}

// With one shard its loop also takes signals and stop requests; with more, a loop of the calling
// thread does, which the shards know nothing of, and which accepts where they do not.
class Server::Impl {
 public:
  Impl(ServerOptions options, std::shared_ptr<const ListenSockets> sockets,
       std::shared_ptr<WorkerCounters[]> counters);
  ~Impl();

  absl::Status SetUp(SessionFactory& sessions);
  absl::Status StartThreads();
  absl::Status Run();
  void Stop();
  void Abort();
  void Drain(const DrainPlan& plan);
  absl::Status StopOnSignals();
  absl::Status AcceptFrom(size_t shard, std::vector<size_t> sockets);
  absl::Status AcceptFromAll();
  void Adopt(size_t shard, Socket socket);
  void Look();
  void set_on_left(std::function<void()> on_left);

  const std::vector<Address>& addresses() const { return addresses_; }
  int shards() const { return static_cast<int>(shards_.size()); }
  ShardHandle Handle(size_t shard) const {
    return {shards_[shard]->executor(), options_.shard_queue_limit};
  }
  BackendKind backend() const { return kind_; }
  EventLoop& loop() { return *control_loop_; }
  std::vector<ShardStats> Stats() const;

 private:
  bool threaded() const { return shards_.size() > 1; }
  bool hands_off() const { return threaded() && options_.policy == ListenPolicy::kHandoff; }
  std::shared_ptr<const ListenSockets> sockets() const;
  absl::Status WatchStops();
  absl::Status StartAcceptor();
  void OnStop();
  void OnDrain(const DrainPlan& plan);
  void BeginDrain(const DrainPlan& plan);
  // Calls `visit` with each shard, on its thread.
  template <typename Visit>
  void ForEachShard(Visit visit);
  absl::Status RunShards();
  void JoinThreads(bool run);
  void RunShard(size_t i);
  // Runs `task` on the shard's thread, once that runs.
  void OnShard(size_t i, Task task);

  const ServerOptions options_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ListenSockets> sockets_;  // guarded by mutex_; given up by a drain
  const std::vector<Address> addresses_;
  const std::shared_ptr<WorkerCounters[]> counters_;
  const std::vector<int> cores_;
  std::vector<std::unique_ptr<quintet::Shard>> shards_;
  std::unique_ptr<EventLoop> own_control_loop_;  // with more than one shard
  EventLoop* control_loop_ = nullptr;
  std::shared_ptr<LoopExecutor> control_;
  std::vector<std::unique_ptr<ShardTaker>> takers_;
  std::unique_ptr<Acceptor> acceptor_;
  TimerHandle delay_timer_;
  std::optional<TimePoint> delay_end_;
  DrainDeadline deadline_;
  bool draining_ = false;  // past its delay
  BackendKind kind_ = BackendKind::kAuto;
  int stop_fd_ = -1;
  WatcherPtr stop_watch_;
  std::vector<std::thread> threads_;
  std::promise<bool> go_;  // whether the threads are to run their shards
  size_t running_ = 0;     // shards whose thread has not said that it is done; control loop's
  std::atomic<bool> started_ = false;
  std::atomic<bool> abort_ = false;
};

Server::Impl::Impl(ServerOptions options, std::shared_ptr<const ListenSockets> sockets,
                   std::shared_ptr<WorkerCounters[]> counters)
    : options_(std::move(options)),
      sockets_(std::move(sockets)),
      addresses_(sockets_->addresses()),
      counters_(std::move(counters)),
      cores_(UsableCores()) {}

Server::Impl::~Impl() {
  JoinThreads(/*run=*/false);
  acceptor_.reset();
  stop_watch_.reset();
  if (threaded() && control_ != nullptr) control_->Close();
  shards_.clear();
  own_control_loop_.reset();
  if (stop_fd_ >= 0) ::close(stop_fd_);
}

absl::Status Server::Impl::SetUp(SessionFactory& sessions) {
  const size_t shards = ShardCount(options_);
  for (size_t i = 0; i < shards; ++i) {
    auto shard = quintet::Shard::Create(options_, sessions, counters_[i]);
    if (!shard.ok()) return shard.status();
    shards_.push_back(*std::move(shard));
  }
  kind_ = shards_.front()->loop().backend().kind();
  return WatchStops();
}

absl::Status Server::Impl::WatchStops() {
  stop_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (stop_fd_ < 0) return ErrnoStatus(errno, "eventfd");
  if (threaded()) {
    EventLoopOptions options = options_.loop;
    options.backend.kind = BackendKind::kPoll;  // few descriptors: the simplest that works
    auto loop = EventLoop::Create(options);
    if (!loop.ok()) return loop.status();
    own_control_loop_ = *std::move(loop);
    control_loop_ = own_control_loop_.get();
    control_ = std::make_shared<LoopExecutor>(control_loop_);
  } else {
    control_loop_ = &shards_.front()->loop();
    control_ = shards_.front()->executor();
  }
  auto watch = control_loop_->Watch(stop_fd_, Readiness::kReadable, Trigger::kLevel,
                                    [this](Readiness) { OnStop(); });
  if (!watch.ok()) return watch.status();
  stop_watch_ = *std::move(watch);
  return absl::OkStatus();
}

absl::Status Server::Impl::StopOnSignals() {
  for (const int signo : {SIGINT, SIGTERM}) {
    const absl::Status status = control_loop_->WatchSignal(signo, [this](int) { Stop(); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// ---- Accepting ----

void Server::Impl::OnShard(size_t i, Task task) {
  static_cast<void>(shards_[i]->executor()->Post(std::move(task)));
}

absl::Status Server::Impl::AcceptFrom(size_t shard, std::vector<size_t> sockets) {
  const std::shared_ptr<const ListenSockets> set = this->sockets();
  if (set == nullptr) return absl::OkStatus();  // draining
  quintet::Shard* const raw = shards_[shard].get();
  if (!started_.load(std::memory_order_acquire)) return raw->AcceptFrom(*set, sockets);
  static_cast<void>(raw->executor()->Post([set, raw, wanted = std::move(sockets)] {
    const absl::Status status = raw->AcceptFrom(*set, wanted);
    if (!status.ok() && raw->loop().log()) {
      raw->loop().log()(LogLevel::kError, status.ToString());
    }
  }));
  return absl::OkStatus();
}

std::shared_ptr<const ListenSockets> Server::Impl::sockets() const {
  const std::lock_guard lock(mutex_);
  return sockets_;
}

absl::Status Server::Impl::AcceptFromAll() {
  if (hands_off()) return StartAcceptor();
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (absl::Status status = AcceptFrom(i, sockets()->SocketsOf(i)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Server::Impl::StartAcceptor() {
  acceptor_ = std::make_unique<Acceptor>(*control_loop_);
  for (const auto& shard : shards_) {
    takers_.push_back(std::make_unique<ShardTaker>(*shard, options_.max_connections_per_shard));
    acceptor_->Add(takers_.back().get());
  }
  return acceptor_->Start(*sockets());
}

void Server::Impl::Adopt(size_t shard, Socket socket) {
  OnShard(shard, [raw = shards_[shard].get(),
                  taken = std::make_unique<Socket>(std::move(socket))]() mutable {
    raw->Adopt(std::move(*taken));
  });
}

void Server::Impl::Look() {
  for (size_t i = 0; i < shards_.size(); ++i) {
    OnShard(i, [raw = shards_[i].get()] { raw->Look(); });
  }
}

void Server::Impl::set_on_left(std::function<void()> on_left) {
  for (const auto& shard : shards_) shard->set_on_left(on_left);
}

// ---- Ending ----

void Server::Impl::Stop() {
  // Also from a signal handler: write(2) is safe there, a queue of tasks is not.
  const int saved = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_fd_, &one, sizeof(one));
  errno = saved;
}

void Server::Impl::Abort() {
  abort_ = true;
  Stop();
}

void Server::Impl::Drain(const DrainPlan& plan) {
  static_cast<void>(control_->Post([this, plan] { OnDrain(plan); }));
}

void Server::Impl::OnStop() {
  uint64_t count;
  [[maybe_unused]] const ssize_t bytes = ::read(stop_fd_, &count, sizeof(count));
  if (abort_) {
    OnDrain({.timeout = Duration::zero()});
  } else {
    OnDrain({.delay = options_.drain_delay, .timeout = options_.drain_timeout});
  }
}

void Server::Impl::OnDrain(const DrainPlan& plan) {
  const TimePoint now = control_loop_->clock().Now();
  const Duration delay = plan.stopping ? plan.delay : Duration::zero();
  deadline_.Add(plan, now);
  if (plan.stopping) ForEachShard([](quintet::Shard& shard) { shard.AnnounceStop(); });
  if (!draining_ && delay > Duration::zero()) {
    const TimePoint end = AddSaturated(now, delay);
    if (delay_end_.has_value() && *delay_end_ <= end) return;
    delay_end_ = end;
    control_loop_->Cancel(delay_timer_);
    delay_timer_ = control_loop_->RunAt(end, [this, plan] { BeginDrain(plan); });
    return;
  }
  control_loop_->Cancel(delay_timer_);
  DrainPlan begun = plan;
  // For one that drains already the delay is a part of the time it is given.
  begun.timeout = std::max(plan.timeout, delay);
  BeginDrain(begun);
}

// The acceptor has given away what it took before the shards are told: tasks of one thread keep
// their order.
void Server::Impl::BeginDrain(const DrainPlan& plan) {
  draining_ = true;
  std::shared_ptr<const ListenSockets> held;
  {
    // Nobody accepts for this server from here on: connections are to be refused, not to wait in
    // vain, unless the sockets are others' too.
    const std::lock_guard lock(mutex_);
    held = std::exchange(sockets_, nullptr);
  }
  const bool at_once = plan.timeout <= Duration::zero();
  std::vector<size_t> abandoned;
  if (held != nullptr) abandoned = held->AbandonedBy(plan);
  const auto time_left = [this, at_once] {
    return at_once ? Duration::zero() : deadline_.Left(control_loop_->clock().Now());
  };
  if (!threaded()) return shards_.front()->Drain(time_left(), abandoned, held.get());
  // Every socket is some shard's, or the acceptor's, who are to be the last that hold it: what
  // comes when they have looked would wait for nobody.
  held.reset();
  const auto drain_shards = [this, time_left, abandoned] {
    ForEachShard([timeout = time_left(), abandoned](quintet::Shard& shard) {
      shard.Drain(timeout, abandoned, /*held=*/nullptr);
    });
  };
  // No shard would take from it any more: who waits in the kernel is for others that listen there.
  if (at_once) acceptor_.reset();
  if (acceptor_ == nullptr) return drain_shards();
  acceptor_->Finish(abandoned, [this, drain_shards] {
    control_loop_->Defer([this] { acceptor_.reset(); });
    drain_shards();
  });
}

template <typename Visit>
void Server::Impl::ForEachShard(Visit visit) {
  if (!threaded()) return visit(*shards_.front());
  for (const auto& shard : shards_) {
    static_cast<void>(shard->executor()->Post([raw = shard.get(), visit] { visit(*raw); }));
  }
}

// ---- Running ----

absl::Status Server::Impl::Run() {
  started_.store(true, std::memory_order_release);
  if (threaded()) return RunShards();
  shards_.front()->Run();
  stop_watch_.reset();
  shards_.front()->TearDown();
  return absl::OkStatus();
}

absl::Status Server::Impl::StartThreads() {
  if (!threaded() || !threads_.empty()) return absl::OkStatus();
  go_ = std::promise<bool>();  // the one of a call that failed is spent
  try {
    const std::shared_future<bool> go = go_.get_future().share();
    for (size_t i = 0; i < shards_.size(); ++i) {
      threads_.emplace_back([this, i, go] {
        if (go.get()) RunShard(i);
      });
    }
  } catch (const std::system_error& error) {
    JoinThreads(/*run=*/false);
    return absl::ResourceExhaustedError(absl::StrCat("cannot start a thread: ", error.what()));
  }
  return absl::OkStatus();
}

void Server::Impl::JoinThreads(bool run) {
  if (threads_.empty()) return;
  if (!run) go_.set_value(false);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

absl::Status Server::Impl::RunShards() {
  const absl::Status status = StartThreads();
  if (status.ok()) {
    running_ = threads_.size();
    go_.set_value(true);
    control_loop_->Run();
    JoinThreads(/*run=*/true);
  }
  acceptor_.reset();
  stop_watch_.reset();
  control_->Close();
  own_control_loop_.reset();
  return status;
}

void Server::Impl::RunShard(size_t i) {
  if (options_.pin) PinToCore(cores_, i);
  shards_[i]->Run();
  shards_[i]->TearDown();
  control_loop_->Post([this] {
    if (--running_ == 0) control_loop_->Stop();
  });
}

std::vector<ShardStats> Server::Impl::Stats() const {
  std::vector<ShardStats> stats;
  for (const auto& shard : shards_) stats.push_back(ReadStats(shard->counters()));
  return stats;
}

// ---- Server ----

absl::StatusOr<std::unique_ptr<Server>> Server::Create(ServerOptions options,
                                                       SessionFactory& sessions) {
  if (options.shards < 0) return absl::InvalidArgumentError("shards is negative");
  const size_t shards = ShardCount(options);
  auto sockets = ListenSockets::Open({.addresses = options.addresses,
                                      .backlog = options.backlog,
                                      .policy = options.policy,
                                      .steer_by_cpu = options.steer_by_cpu,
                                      .workers = shards});
  if (!sockets.ok()) return sockets.status();
  auto server = CreateOn(*std::move(sockets), std::move(options), sessions, CreateCounters(shards));
  if (!server.ok()) return server;
  if (absl::Status status = (*server)->impl_->AcceptFromAll(); !status.ok()) return status;
  return server;
}

absl::StatusOr<std::unique_ptr<Server>> Server::CreateOn(
    std::shared_ptr<const ListenSockets> sockets, ServerOptions options, SessionFactory& sessions,
    std::shared_ptr<WorkerCounters[]> counters) {
  auto impl = std::make_shared<Impl>(std::move(options), std::move(sockets), std::move(counters));
  const absl::Status status = impl->SetUp(sessions);
  if (!status.ok()) return status;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { impl_->Abort(); }

absl::Status Server::Run() {
  const std::shared_ptr<Impl> impl = impl_;
  return impl->Run();
}

void Server::Stop() { impl_->Stop(); }
void Server::Drain(const DrainPlan& plan) { impl_->Drain(plan); }
absl::Status Server::StopOnSignals() { return impl_->StopOnSignals(); }
ShardHandle Server::Shard(int shard) const { return impl_->Handle(static_cast<size_t>(shard)); }
const std::vector<Address>& Server::addresses() const { return impl_->addresses(); }
int Server::shards() const { return impl_->shards(); }
BackendKind Server::backend() const { return impl_->backend(); }
EventLoop& Server::loop() { return impl_->loop(); }
std::vector<ShardStats> Server::Stats() const { return impl_->Stats(); }

absl::Status Server::StartThreads() { return impl_->StartThreads(); }
absl::Status Server::AcceptFromAll() { return impl_->AcceptFromAll(); }
absl::Status Server::AcceptFrom(int shard, std::vector<size_t> sockets) {
  return impl_->AcceptFrom(static_cast<size_t>(shard), std::move(sockets));
}
void Server::Adopt(int shard, Socket socket) {
  impl_->Adopt(static_cast<size_t>(shard), std::move(socket));
}
void Server::Look() { impl_->Look(); }
void Server::set_on_left(std::function<void()> on_left) { impl_->set_on_left(std::move(on_left)); }

}  // namespace quintet
