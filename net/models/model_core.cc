#include "net/models/model_core.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/models/blocking_connection.h"
#include "net/proxy_session.h"
#include "reactor/backend.h"
#include "reactor/catch_all.h"
#include "reactor/errno_class.h"

namespace quintet {
namespace {

// Workers at once, each of which has a place in the counters.
size_t PlacesOf(const ModelOptions& model) {
  switch (model.model) {
    case ServerModel::kFork:
    case ServerModel::kThread:
      return model.max_children;
    case ServerModel::kPrefork:
      return model.max_workers;
    case ServerModel::kIterative:
    case ServerModel::kReactor:
      break;
  }
  return 1;
}

bool HasSocketPerWorker(const ModelOptions& model) {
  return model.model == ServerModel::kPrefork && model.prefork_accept == PreforkAccept::kReusePort;
}

ServerOptions Clamped(ServerOptions options) {
  size_t& cap = options.connection.output_cap;
  cap = std::min(cap, ConnectionOptions::kMaxOutputCap);
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelCore>> ModelCore::Create(const ModelOptions& model,
                                                             ServerOptions options,
                                                             SessionFactory& sessions) {
  std::unique_ptr<ModelCore> core(new ModelCore(model, std::move(options), sessions));
  if (absl::Status status = core->SetUp(); !status.ok()) return status;
  return core;
}

ModelCore::ModelCore(const ModelOptions& model, ServerOptions options, SessionFactory& sessions)
    : model_(model), options_(Clamped(std::move(options))), sessions_(sessions) {}

ModelCore::~ModelCore() = default;

absl::Status ModelCore::SetUp() {
  auto counters = ModelCounters::Create(PlacesOf(model_));
  if (!counters.ok()) return counters.status();
  counters_ = *std::move(counters);
  auto schedule = EndSchedule::Create(
      {.delay = options_.drain_delay, .timeout = options_.drain_timeout}, clock_);
  if (!schedule.ok()) return schedule.status();
  schedule_ = *std::move(schedule);
  schedule_->set_on_change([this] { OnEnding(); });
  auto board = EndBoard::Create(counters_->server().end);
  if (!board.ok()) return board.status();
  board_ = *std::move(board);
  const bool own_sockets = HasSocketPerWorker(model_);
  auto sockets =
      ListenSockets::Open({.addresses = options_.addresses,
                           .backlog = options_.backlog,
                           .policy = own_sockets ? ListenPolicy::kReusePort : ListenPolicy::kShared,
                           .steer_by_cpu = options_.steer_by_cpu,
                           .workers = own_sockets ? model_.max_workers : 1});
  if (!sockets.ok()) return sockets.status();
  sockets_ = *std::move(sockets);
  addresses_ = sockets_->addresses();
  return absl::OkStatus();
}

void ModelCore::OnEnding() {
  board_->Show(schedule_->stage(), schedule_->stopping());
  if (draining() && sockets_ != nullptr) CloseSockets();
  if (schedule_->stage() < EndStage::kOver) return;
  while (has_waiting()) Refuse(*NextWaiting(), Why::kNoWorker);
}

// The kernel resets those who wait in a socket that is closed: they are taken first.
void ModelCore::CloseSockets() {
  for (const auto& [fd, name] : sockets_->descriptors()) {
    if (schedule_->stage() == EndStage::kDraining) TakeWaiting(fd);
    // Children have the socket, too, and may be busy, or block in accept(2), which returns EINVAL
    // now: so nobody is queued whom nobody will serve.
    ::shutdown(fd, SHUT_RDWR);
  }
  sockets_.reset();
}

void ModelCore::TakeWaiting(int listening) {
  // Where workers block in accept(2) the flag is off, for all who have the socket.
  ::fcntl(listening, F_SETFL, ::fcntl(listening, F_GETFL) | O_NONBLOCK);
  for (int taken = 0; taken < Backend::kMaxTakenAtEnd;) {
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && !IsTransientAcceptError(errno)) return;
    if (fd < 0) continue;
    waiting_.emplace_back(fd);
    ++taken;
  }
}

std::optional<Socket> ModelCore::NextWaiting() {
  if (waiting_.empty()) return std::nullopt;
  std::optional<Socket> next(std::move(waiting_.front()));
  waiting_.pop_front();
  return next;
}

std::vector<int> ModelCore::ListeningFds(size_t worker) const {
  std::vector<int> fds;
  if (sockets_ == nullptr) return fds;
  const std::vector<ListenSockets::Descriptor> all = sockets_->descriptors();
  for (const size_t index : sockets_->SocketsOf(HasSocketPerWorker(model_) ? worker : 0)) {
    fds.push_back(all[index].fd);
  }
  return fds;
}

void ModelCore::CloseInChild(const std::vector<int>& kept) {
  waiting_.clear();
  if (sockets_ == nullptr) return;
  for (const auto& [fd, name] : sockets_->descriptors()) {
    if (std::find(kept.begin(), kept.end(), fd) == kept.end()) ::close(fd);
  }
}

std::unique_ptr<Session> ModelCore::CreateSession() {
  std::unique_ptr<Session> session;
  CatchAll([&] { session = sessions_.CreateSession(); },
           [this](const char* what) {
             LogLimited(counters_->server().session_log, LogLevel::kError,
                        [what] { return absl::StrCat("no session could be made: ", what); });
           });
  return session;
}

void ModelCore::Serve(Socket socket, size_t place, Ending& ending) {
  std::unique_ptr<Session> session = CreateSession();
  if (session == nullptr) return Refuse(std::move(socket), Why::kNoSession);
  WorkerCounters& counters = counters_->place(place).counters;
  const auto on_refused = [this, &counters](std::string_view why, const Transport& transport) {
    ConnectionCounters::Add(counters.proxy_errors, 1);
    LogLimited(counters_->server().proxy_log, LogLevel::kWarning, [&] {
      const absl::StatusOr<Address> peer = transport.PeerAddress();
      return absl::StrCat("PROXY header of ",
                          peer.ok() ? peer->ToString() : "a client that has gone", ": ",
                          std::string(why));
    });
  };
  const ProxyOptions proxy{.header_timeout = options_.proxy_header_timeout,
                           .on_refused = on_refused};
  if (options_.proxy_protocol) session = std::make_unique<ProxySession>(std::move(session), proxy);
  BlockingConnection connection(std::move(socket), std::move(session),
                                {.options = options_.connection,
                                 .counters = counters.connections,
                                 .ending = ending,
                                 .clock = clock_,
                                 .log = log()});
  connection.Run();
}

void ModelCore::Refuse(Socket socket, Why why) {
  ServerCounters& counters = counters_->server();
  counters.refused.fetch_add(1, std::memory_order_relaxed);
  if (why == Why::kCap) counters.refused_at_cap.fetch_add(1, std::memory_order_relaxed);
  // A reset cannot be mistaken for the end of a reply, and leaves nothing behind here.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  socket.Reset();
}

void ModelCore::Log(LogLevel level, const std::string& text) const {
  if (log()) log()(level, text);
}

void ModelCore::LogLimited(LogLimit& limit, LogLevel level, absl::FunctionRef<std::string()> text) {
  uint64_t left_out = 0;
  if (!log() || !limit.MayWrite(clock_.Now(), &left_out)) return;
  std::string line = text();
  if (left_out > 0) absl::StrAppend(&line, " (", left_out, " more were not logged)");
  Log(level, line);
}

}  // namespace quintet
