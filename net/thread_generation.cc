#include "net/thread_generation.h"

#include <unistd.h>

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/worker_counters.h"

namespace quintet {

ThreadGeneration::ThreadGeneration(EventLoop& loop, GenerationSetup setup, Events events)
    : loop_(loop),
      setup_(std::move(setup)),
      events_(std::move(events)),
      executor_(std::make_shared<LoopExecutor>(&loop)) {}

ThreadGeneration::~ThreadGeneration() {
  executor_->Close();
  if (server_ != nullptr) server_->Drain({.timeout = Duration::zero()});
  Release(/*serve=*/false);
  Join();
}

void ThreadGeneration::Release(bool serve) {
  if (!std::exchange(released_, true)) go_.set_value(serve);
}

void ThreadGeneration::Join() {
  if (thread_.joinable()) thread_.join();
}

absl::Status ThreadGeneration::Start() {
  const size_t shards = ShardCount(setup_.server);
  for (size_t i = 0; setup_.start_worker && i < shards; ++i) {
    if (absl::Status status = setup_.start_worker(i); !status.ok()) return status;
  }
  auto server =
      Server::CreateOn(setup_.sockets, setup_.server, *setup_.sessions, CreateCounters(shards));
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  backend_ = DescribeBackend(server_->backend(), setup_.server.loop.backend.kind);
  server_->set_on_left([executor = executor_, left = events_.left] { executor->Post(left); });
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) events_.ready();
  });
  return absl::OkStatus();
}

absl::Status ThreadGeneration::Prepare() {
  absl::Status prepared = server_->AcceptFromAll();
  if (prepared.ok()) prepared = server_->StartThreads();
  if (!prepared.ok()) return prepared;
  try {
    thread_ = std::thread([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!go_.get_future().get()) return;
      const absl::Status status = server_->Run();
      executor_->Post([this, alive, status] {
        if (!alive.expired()) OnEnded(status);
      });
    });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot start a thread: ", error.what()));
  }
  return absl::OkStatus();
}

void ThreadGeneration::OnEnded(absl::Status status) {
  Join();
  if (!status.ok() || !draining_) return events_.failed(std::move(status));
  events_.ended();
}

void ThreadGeneration::Drain(const DrainPlan& plan) {
  draining_ = true;
  // The server has its own, and gives it up when it stops accepting.
  setup_.sockets.reset();
  server_->Drain(plan);
}

std::vector<WorkerStats> ThreadGeneration::Stats() const {
  std::vector<WorkerStats> stats;
  for (const ShardStats& shard : server_->Stats()) {
    stats.push_back({.worker = stats.size(), .pid = ::getpid(), .shard = shard});
  }
  return stats;
}

}  // namespace quintet
