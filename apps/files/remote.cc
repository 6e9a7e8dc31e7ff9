#include "apps/files/remote.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "net/connection_options.h"

namespace quintet::files::app {
namespace {

// The loop looks so often whether it is done, should nothing else wake it.
constexpr std::chrono::seconds kLook{1};
// For the server's answer to QUIT: without it nothing is lost.
constexpr std::chrono::milliseconds kQuitTimeout{500};

}  // namespace

absl::StatusOr<std::unique_ptr<Remote>> Remote::Create(RemoteOptions options) {
  EventLoopOptions loop_options;
  // A handful of descriptors: nothing is quicker, and it works everywhere.
  loop_options.backend.kind = BackendKind::kPoll;
  // A slow terminal stalls this loop, and harms nobody but its user.
  loop_options.stall_threshold = Duration::zero();
  auto loop = EventLoop::Create(std::move(loop_options));
  if (!loop.ok()) return loop.status();
  std::unique_ptr<Remote> remote(new Remote(std::move(options), *std::move(loop)));
  const absl::Status watched = remote->loop_->WatchSignal(
      SIGINT, [remote = remote.get()](int) { remote->interrupted_ = true; });
  if (!watched.ok()) return watched;
  return remote;
}

Remote::Remote(RemoteOptions options, std::unique_ptr<EventLoop> loop)
    : options_(std::move(options)), loop_(std::move(loop)) {
  ConnectionOptions connection_options;
  connection_options.write_stall_timeout = options_.timeout;
  // What is on its way has been answered, or was given up.
  connection_options.linger_timeout = kQuitTimeout;
  group_ = std::make_unique<ConnectionGroup>(*loop_, connection_options);
}

Remote::~Remote() = default;

ClientSession* Remote::session(size_t index) {
  if (index >= connections_.size()) return nullptr;
  ClientSession* const session = connections_[index]->session;
  return session != nullptr && session->ready() ? session : nullptr;
}

std::optional<ClientError> Remote::Connect(size_t index) {
  while (connections_.size() <= index) connections_.push_back(std::make_unique<Link>());
  // The server's end of an idle connection may have come while nobody looked.
  loop_->RunOnce(Duration::zero());
  if (session(index) != nullptr) return std::nullopt;
  std::optional<ClientError> error;
  for (const Address& address : options_.addresses) {
    error = ConnectTo(address, *connections_[index]);
    if (!error.has_value() || interrupted_) break;
    // Whoever answers with words is the server.
    if (error->code.has_value()) break;
  }
  return error;
}

std::optional<ClientError> Remote::ConnectTo(const Address& address, Link& link) {
  link = Link();
  auto session = std::make_unique<ClientSession>(
      ClientOptions{.secret = options_.secret, .timeout = options_.timeout});
  link.session = session.get();
  link.session->set_on_end([&link, self = link.session](const std::optional<ClientError>& error) {
    if (link.session != self) return;  // one that was given up
    link.session = nullptr;
    link.end = error.value_or(ConnectionError(CloseReason::kLocal));
  });
  ConnectorOptions connector_options;
  connector_options.timeout = options_.timeout;
  const auto connection =
      Connector(*group_, connector_options).Connect(address, std::move(session));
  if (!connection.ok()) {
    link = Link();
    return ClientError{.reason = CloseReason::kConnectFailed,
                       .text = std::string(connection.status().message())};
  }
  if (!RunUntil([&link] { return link.end.has_value() || link.session->ready(); })) {
    return ClientError{.code = ErrorCode::kCancelled, .text = "interrupted"};
  }
  return link.end;
}

bool Remote::RunUntil(absl::FunctionRef<bool()> done) {
  while (!interrupted_ && !done()) loop_->RunOnce(kLook);
  return !interrupted_;
}

void Remote::Disconnect() {
  group_->AbortAll(CloseReason::kAborted);
  while (group_->size() > 0) loop_->RunOnce(kLook);
}

void Remote::Quit() {
  size_t open = 0;
  for (const auto& link : connections_) {
    if (link->session == nullptr || !link->session->ready()) continue;
    link->session->Quit();
    ++open;
  }
  if (open == 0) return;
  const TimePoint deadline = AddSaturated(loop_->clock().Now(), kQuitTimeout);
  while (!interrupted_ && loop_->clock().Now() < deadline &&
         std::any_of(connections_.begin(), connections_.end(),
                     [](const auto& link) { return link->session != nullptr; })) {
    loop_->RunOnce(deadline - loop_->clock().Now());
  }
}

}  // namespace quintet::files::app
