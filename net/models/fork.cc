// A process for each connection.
#include <signal.h>
#include <stdlib.h>

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/models/children.h"
#include "net/models/model.h"
#include "net/models/worker_per_connection.h"
#include "net/worker_process.h"

namespace quintet {
namespace {

class ConnectionProcesses final : public ConnectionWorkers {
 public:
  ConnectionProcesses(ModelCore& core, Children& children) : core_(core), children_(children) {}

  absl::Status Start(size_t place, Socket& socket) override;
  int fd() const override { return children_.fd(); }
  TimePoint next() const override { return children_.next(); }
  void Collect(absl::FunctionRef<void(size_t place)> on_ended) override;
  void Kill() override { children_.Kill(SIGKILL); }

 private:
  ModelCore& core_;
  Children& children_;
  std::map<pid_t, size_t> places_;
};

absl::Status ConnectionProcesses::Start(size_t place, Socket& socket) {
  const pid_t pid = children_.Start([&] {
    core_.CloseInChild();
    core_.Serve(std::move(socket), place, core_.board());
    return EXIT_SUCCESS;
  });
  if (pid < 0) return ErrnoStatus(-pid, "fork");
  places_[pid] = place;
  // The child has it. Open here, too, it would not end with the child's.
  socket.Reset();
  return absl::OkStatus();
}

void ConnectionProcesses::Collect(absl::FunctionRef<void(size_t place)> on_ended) {
  children_.Reap([&](pid_t pid, int status) {
    const auto entry = places_.find(pid);
    const size_t place = entry->second;
    places_.erase(entry);
    if (status != 0) {
      ServerCounters& counters = core_.counters().server();
      counters.crashed.fetch_add(1, std::memory_order_relaxed);
      core_.LogLimited(counters.crash_log, LogLevel::kError, [&] {
        return absl::StrCat("process ", pid, " died: ", WorkerProcess::Describe(status));
      });
    }
    on_ended(place);
  });
}

class ForkModel final : public Model {
 public:
  explicit ForkModel(ModelCore& core) : core_(core) {}

  absl::Status Run() override {
    auto children = Children::Create(core_.clock());
    if (!children.ok()) return children.status();
    ConnectionProcesses processes(core_, **children);
    WorkerPerConnection(core_, processes).Run();
    return absl::OkStatus();
  }

 private:
  ModelCore& core_;
};

}  // namespace

std::unique_ptr<Model> CreateForkModel(ModelCore& core) {
  return std::make_unique<ForkModel>(core);
}

}  // namespace quintet
