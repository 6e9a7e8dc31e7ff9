#include "net/models/model_server.h"

#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/models/model.h"
#include "net/models/model_core.h"
#include "net/models/signal_relay.h"
#include "reactor/backend_kind.h"

namespace quintet {
namespace {

std::unique_ptr<Model> CreateModel(ModelCore& core) {
  switch (core.model().model) {
    case ServerModel::kIterative:
      return CreateIterativeModel(core);
    case ServerModel::kFork:
      return CreateForkModel(core);
    case ServerModel::kThread:
      return CreateThreadModel(core);
    case ServerModel::kPrefork:
      return CreatePreforkModel(core);
    case ServerModel::kReactor:
      break;
  }
  return nullptr;
}

absl::Status CheckPool(const ModelOptions& model, const ServerOptions& options) {
  if (model.min_workers == 0 || model.min_workers > model.max_workers ||
      model.max_workers > ModelOptions::kMostWorkers) {
    return absl::InvalidArgumentError(
        absl::StrCat("min_workers ", model.min_workers, " and max_workers ", model.max_workers,
                     ": 1 to ", ModelOptions::kMostWorkers, ", and the first not above the other"));
  }
  const bool fixed = model.min_workers == model.max_workers;
  if (!fixed && model.idle_worker_timeout <= Duration::zero()) {
    return absl::InvalidArgumentError("idle_worker_timeout is not positive");
  }
  if (!fixed && model.prefork_accept == PreforkAccept::kReusePort) {
    return absl::InvalidArgumentError(
        absl::StrCat("prefork with reuseport has a fixed number of workers, but min_workers is ",
                     model.min_workers, " and max_workers ", model.max_workers));
  }
  if (model.prefork_accept == PreforkAccept::kBlocking && options.addresses.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "prefork with blocking accept serves one address, not ", options.addresses.size()));
  }
  return absl::OkStatus();
}

// What another model would understand is refused rather than passed over.
absl::Status Check(const ModelOptions& model, const ServerOptions& options) {
  const std::string name(ServerModelName(model.model));
  const auto refuse = [&name](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("model ", name, " and ", what));
  };
  if (model.model == ServerModel::kReactor) {
    return absl::InvalidArgumentError("model reactor is that of Server, not of ModelServer");
  }
  if (options.loop.backend.kind != BackendKind::kAuto) {
    return refuse(absl::StrCat("backend ", std::string(BackendName(options.loop.backend.kind)),
                               ": it has no event loop"));
  }
  if (options.shards != 1) return refuse(absl::StrCat(options.shards, " shards: it has none"));
  if (options.max_connections_per_shard != 0) {
    return refuse(
        absl::StrCat(options.max_connections_per_shard, " connections per shard: it has none"));
  }
  if (options.policy != ListenPolicy::kReusePort) {
    return refuse(absl::StrCat("listen policy ", std::string(ListenPolicyName(options.policy)),
                               ": it has its own ways"));
  }
  const bool prefork = model.model == ServerModel::kPrefork;
  if (options.steer_by_cpu && (!prefork || model.prefork_accept != PreforkAccept::kReusePort)) {
    return refuse("steering by core: that needs prefork with reuseport");
  }
  if (prefork) return CheckPool(model, options);
  if (model.max_children == 0 || model.max_children > ModelOptions::kMostWorkers) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_children ", model.max_children, ": 1 to ", ModelOptions::kMostWorkers));
  }
  return absl::OkStatus();
}

}  // namespace

class ModelServer::Impl {
 public:
  explicit Impl(std::unique_ptr<ModelCore> core)
      : core_(std::move(core)), model_(CreateModel(*core_)) {}

  ModelCore& core() { return *core_; }

  absl::Status Run() {
    absl::Status status = model_->Run();
    // Also where it could not even begin.
    core_->schedule().Drain({.timeout = Duration::zero()});
    core_->schedule().Look();
    relays_.clear();
    return status;
  }

  absl::Status StopOnSignals() {
    for (const int signo : {SIGINT, SIGTERM}) {
      auto relay = SignalRelay::Create(signo, core_->schedule().wakeup_fd(), EndSchedule::kStopUnit,
                                       SignalRelay::Former::kSilenced);
      if (!relay.ok()) return relay.status();
      relays_.push_back(*std::move(relay));
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<ModelCore> core_;
  const std::unique_ptr<Model> model_;
  std::vector<std::unique_ptr<SignalRelay>> relays_;
};

absl::StatusOr<std::unique_ptr<ModelServer>> ModelServer::Create(const ModelOptions& model,
                                                                 ServerOptions options,
                                                                 SessionFactory& sessions) {
  if (absl::Status status = Check(model, options); !status.ok()) return status;
  auto core = ModelCore::Create(model, std::move(options), sessions);
  if (!core.ok()) return core.status();
  return std::unique_ptr<ModelServer>(new ModelServer(std::make_unique<Impl>(*std::move(core))));
}

ModelServer::ModelServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelServer::~ModelServer() = default;

absl::Status ModelServer::Run() { return impl_->Run(); }
void ModelServer::Stop() { impl_->core().schedule().Stop(); }
void ModelServer::Drain(const DrainPlan& plan) { impl_->core().schedule().Drain(plan); }
absl::Status ModelServer::StopOnSignals() { return impl_->StopOnSignals(); }
const std::vector<Address>& ModelServer::addresses() const { return impl_->core().addresses(); }
ModelStats ModelServer::Stats() const { return impl_->core().counters().Stats(); }

}  // namespace quintet
