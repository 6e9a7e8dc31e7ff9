// Makes the HTTP sessions of a server.
#ifndef QUINTET_NET_HTTP_SERVER_SESSION_FACTORY_H_
#define QUINTET_NET_HTTP_SERVER_SESSION_FACTORY_H_

#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "net/http/options.h"
#include "net/http/router.h"
#include "net/http/wall_clock.h"
#include "net/session.h"

namespace quintet::http {

class ServerContext;
struct ServerConfig;

// Sessions made on one thread share request buffers and the Date field with each other and nothing
// with other threads: call CreateSession() on the thread that will run the session. Sessions may
// outlive their factory.
class ServerSessionFactory final : public SessionFactory {
 public:
  // Refuses a router whose status() is not OK and limits that no request could keep. Without
  // `clock` the Date field follows the system's.
  static absl::StatusOr<std::unique_ptr<ServerSessionFactory>> Create(
      Router router, Options options = {}, std::shared_ptr<const WallClock> clock = nullptr);

  ~ServerSessionFactory() override;

  // Any thread. Takes a lock only for the first session of a thread.
  std::unique_ptr<Session> CreateSession() override;

 private:
  explicit ServerSessionFactory(std::shared_ptr<const ServerConfig> config);

  std::shared_ptr<ServerContext> ContextOfThisThread();

  const std::shared_ptr<const ServerConfig> config_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<ServerContext>> contexts_;  // guarded by mutex_
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_SERVER_SESSION_FACTORY_H_
