// What the servers of all classic models consist of.
#ifndef QUINTET_NET_MODELS_MODEL_CORE_H_
#define QUINTET_NET_MODELS_MODEL_CORE_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/listen_sockets.h"
#include "net/models/end_board.h"
#include "net/models/end_schedule.h"
#include "net/models/model_counters.h"
#include "net/models/model_server.h"
#include "net/server.h"
#include "net/session.h"
#include "net/socket.h"
#include "reactor/clock.h"
#include "reactor/log.h"

namespace quintet {

// Made and used on the thread of Run(), but for what says otherwise. Forked children have a copy,
// which they do not destroy.
class ModelCore {
 public:
  // Binds every address. Errors: those of ModelServer::Create() but for its checks.
  static absl::StatusOr<std::unique_ptr<ModelCore>> Create(const ModelOptions& model,
                                                           ServerOptions options,
                                                           SessionFactory& sessions);
  ~ModelCore();
  ModelCore(const ModelCore&) = delete;
  ModelCore& operator=(const ModelCore&) = delete;

  const ModelOptions& model() const { return model_; }
  const ServerOptions& options() const { return options_; }
  Clock& clock() { return clock_; }
  const LogFunction& log() const { return options_.loop.backend.log; }
  ModelCounters& counters() { return *counters_; }
  const std::vector<Address>& addresses() const { return addresses_; }

  // The end, as the thread of Run() sees it. When it comes to the stage kDraining, nobody listens
  // any more, in no process.
  EndSchedule& schedule() { return *schedule_; }
  // The same as every other thread and process sees it.
  EndBoard& board() { return *board_; }
  bool draining() const { return schedule_->stage() >= EndStage::kDraining; }

  // What to accept from: of worker `worker` with PreforkAccept::kReusePort, else all. Theirs until
  // the drain.
  std::vector<int> ListeningFds(size_t worker = 0) const;
  // In a forked child: closes what is its parent's, but for `kept` of the listening sockets.
  void CloseInChild(const std::vector<int>& kept = {});

  // From the drain on: a connection that had waited in a socket when that was closed, and is to be
  // served like those before; when the drain is over, they are reset.
  bool has_waiting() const { return !waiting_.empty(); }
  std::optional<Socket> NextWaiting();

  // Any thread or child: serves a connection to its end, as worker `place`.
  void Serve(Socket socket, size_t place, Ending& ending);
  // Any thread or child: resets a connection that nobody will serve, and counts it.
  enum class Why : uint8_t { kCap, kNoWorker, kNoSession };
  void Refuse(Socket socket, Why why);

  // Any thread or child.
  void Log(LogLevel level, const std::string& text) const;
  // The same at a limited rate; `text` is called only for a line that is written.
  void LogLimited(LogLimit& limit, LogLevel level, absl::FunctionRef<std::string()> text);

 private:
  ModelCore(const ModelOptions& model, ServerOptions options, SessionFactory& sessions);

  absl::Status SetUp();
  std::unique_ptr<Session> CreateSession();
  void OnEnding();
  void CloseSockets();
  void TakeWaiting(int listening);

  const ModelOptions model_;
  const ServerOptions options_;
  SessionFactory& sessions_;
  SteadyClock clock_;
  std::unique_ptr<ModelCounters> counters_;
  std::unique_ptr<EndSchedule> schedule_;
  std::unique_ptr<EndBoard> board_;
  std::shared_ptr<ListenSockets> sockets_;  // null from the drain on
  std::vector<Address> addresses_;
  std::deque<Socket> waiting_;
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_MODEL_CORE_H_
