#include "net/files/server_session_factory.h"

#include "net/files/server_context.h"
#include "net/files/server_session.h"

namespace quintet::files {

absl::StatusOr<std::unique_ptr<ServerSessionFactory>> ServerSessionFactory::Create(
    Options options) {
  auto context = ServerContext::Create(std::move(options));
  if (!context.ok()) return context.status();
  return std::make_unique<ServerSessionFactory>(*std::move(context));
}

ServerSessionFactory::~ServerSessionFactory() = default;

std::unique_ptr<Session> ServerSessionFactory::CreateSession() {
  return std::make_unique<ServerSession>(context_);
}

const Counters& ServerSessionFactory::counters() const { return context_->counters(); }

}  // namespace quintet::files
