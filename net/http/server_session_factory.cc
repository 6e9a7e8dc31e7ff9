#include "net/http/server_session_factory.h"

#include <algorithm>
#include <utility>

#include "net/http/server_context.h"
#include "net/http/server_session.h"
#include "net/http/syntax.h"

namespace quintet::http {
namespace {

// The contexts of a thread, one for each factory that it makes sessions of: usually one. The
// factories own them; a thread that ends tells them so.
class ThreadContexts {
 public:
  ThreadContexts() = default;
  ThreadContexts(const ThreadContexts&) = delete;
  ThreadContexts& operator=(const ThreadContexts&) = delete;
  ~ThreadContexts() {
    for (const Entry& entry : entries_) {
      if (const auto context = entry.context.lock()) context->MarkThreadGone();
    }
  }

  // Null when there is none yet.
  std::shared_ptr<ServerContext> Find(const ServerConfig* config) const {
    for (const Entry& entry : entries_) {
      // The address of a configuration may be that of an earlier one, but then the earlier context
      // is gone: it would have kept its configuration.
      if (entry.config != config) continue;
      if (auto context = entry.context.lock()) return context;
    }
    return nullptr;
  }

  void Add(const ServerConfig* config, const std::shared_ptr<ServerContext>& context) {
    std::erase_if(entries_, [](const Entry& entry) { return entry.context.expired(); });
    entries_.push_back({config, context});
  }

 private:
  struct Entry {
    const ServerConfig* config;
    std::weak_ptr<ServerContext> context;
  };
  std::vector<Entry> entries_;
};

ThreadContexts& ContextsOfThisThread() {
  thread_local ThreadContexts contexts;
  return contexts;
}

absl::Status Check(const Options& options) {
  const Limits& limits = options.limits;
  if (limits.request_line_bytes == 0 || limits.header_bytes == 0 || limits.header_count == 0 ||
      limits.chunk_line_bytes == 0) {
    return absl::InvalidArgumentError("a limit on heads or chunk lines is zero");
  }
  if (!IsFieldValue(options.server_name)) {
    return absl::InvalidArgumentError("server_name holds a control character");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerSessionFactory>> ServerSessionFactory::Create(
    Router router, Options options, std::shared_ptr<const WallClock> clock) {
  absl::Status status = router.status();
  status.Update(Check(options));
  if (!status.ok()) return status;
  if (clock == nullptr) clock = std::make_shared<SystemWallClock>();
  return std::unique_ptr<ServerSessionFactory>(
      new ServerSessionFactory(std::make_shared<const ServerConfig>(
          ServerConfig{std::move(router), std::move(options), std::move(clock)})));
}

ServerSessionFactory::ServerSessionFactory(std::shared_ptr<const ServerConfig> config)
    : config_(std::move(config)) {}

ServerSessionFactory::~ServerSessionFactory() = default;

std::unique_ptr<Session> ServerSessionFactory::CreateSession() {
  return std::make_unique<ServerSession>(ContextOfThisThread());
}

std::shared_ptr<ServerContext> ServerSessionFactory::ContextOfThisThread() {
  ThreadContexts& thread = ContextsOfThisThread();
  if (auto context = thread.Find(config_.get())) return context;
  auto context = std::make_shared<ServerContext>(config_);
  thread.Add(config_.get(), context);
  const std::lock_guard lock(mutex_);
  std::erase_if(contexts_, [](const auto& known) { return known->thread_gone(); });
  contexts_.push_back(context);
  return context;
}

}  // namespace quintet::http
