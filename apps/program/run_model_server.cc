#include "apps/program/run_model_server.h"

#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "apps/program/signal_thread.h"
#include "net/drain_plan.h"
#include "net/models/server_model.h"

namespace quintet::program {
namespace {

constexpr int kSignals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

std::string StatsText(const ModelStats& stats) {
  return absl::StrCat("accepted ", stats.accepted, ", active ", stats.active, ", bytes in ",
                      stats.bytes_in, ", bytes out ", stats.bytes_out, ", refused ", stats.refused,
                      ", of those at the cap ", stats.refused_at_cap, ", workers ", stats.workers,
                      ", at most ", stats.most_workers, ", started ", stats.workers_started,
                      ", crashed ", stats.crashed, ", not started ", stats.start_failures,
                      ", empty accepts ", stats.empty_accepts, ", accept pauses ",
                      stats.accept_pauses, ", PROXY errors ", stats.proxy_errors);
}

// What the signals do. On the thread of signals.
class SignalActions {
 public:
  SignalActions(ModelServer& server, ServerModel model, const ServerOptions& options,
                const ModelServerEvents& events)
      : server_(server),
        model_(ServerModelName(model)),
        plan_{.delay = options.drain_delay, .timeout = options.drain_timeout},
        events_(events) {}

  void operator()(int signo) {
    switch (signo) {
      case SIGHUP:
        return Refuse("reload");
      case SIGUSR2:
        return Refuse("upgrade");
      case SIGUSR1:
        return events_.log(LogLevel::kInfo,
                           absl::StrCat("model ", model_, ": ", StatsText(server_.Stats())));
      case SIGQUIT:
        return End({.timeout = DrainPlan::kNoTimeout});
      default:
        // Whoever asks twice does not want to wait.
        return End(ending_ ? DrainPlan{.timeout = Duration::zero()} : plan_);
    }
  }

 private:
  void Refuse(std::string_view what) {
    events_.log(LogLevel::kWarning,
                absl::StrCat(std::string(what), " refused: model ", model_,
                             " has no supervisor that could replace what serves; restart the "
                             "program, or use model reactor"));
  }

  void End(const DrainPlan& plan) {
    if (!ending_ && events_.on_stopping) events_.on_stopping();
    ending_ = true;
    server_.Drain(plan);
  }

  ModelServer& server_;
  const std::string model_;
  const DrainPlan plan_;
  const ModelServerEvents& events_;
  bool ending_ = false;
};

}  // namespace

absl::Status RunModelServer(const ModelOptions& model, const ServerOptions& options,
                            SessionFactory& sessions, const ModelServerEvents& events) {
  // Before the server is there, so that no signal ends the process from here on.
  const BlockedSignals blocked(kSignals);
  const absl::StatusOr<std::unique_ptr<ModelServer>> server =
      ModelServer::Create(model, options, sessions);
  if (!server.ok()) return server.status();
  // The server may fork with this thread beside it: but for the moments of an action it waits in
  // sigwaitinfo(2) and holds nothing locked; malloc(3) is safe across fork(2) in glibc.
  const auto signals =
      SignalThread::Start(kSignals, SignalActions(**server, model.model, options, events));
  if (!signals.ok()) return signals.status();
  if (events.on_serving) {
    if (absl::Status status = events.on_serving(**server); !status.ok()) return status;
  }
  return (*server)->Run();
}

}  // namespace quintet::program
