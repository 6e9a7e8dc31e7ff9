// Makes the sessions of a server of files.
#ifndef QUINTET_NET_FILES_SERVER_SESSION_FACTORY_H_
#define QUINTET_NET_FILES_SERVER_SESSION_FACTORY_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "net/files/counters.h"
#include "net/files/options.h"
#include "net/session.h"

namespace quintet::files {

class ServerContext;

// To be made before the processes are forked that serve: what they count and limit together lies in
// memory that they share. Sessions may outlive their factory.
//
// Writing beyond a limit of the process (RLIMIT_FSIZE, setrlimit(2)) raises SIGXFSZ: who serves
// under one ignores the signal, so that clients are told.
class ServerSessionFactory final : public SessionFactory {
 public:
  // Blocks; where the total size is limited, for a walk through the whole tree. Errors: NotFound,
  // PermissionDenied, ... (open(2) for the root); Unimplemented (no openat2(2)); InvalidArgument (a
  // limit that lets nobody in); ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<ServerSessionFactory>> Create(Options options);
  // For tests, which make a context of their own.
  explicit ServerSessionFactory(std::shared_ptr<ServerContext> context)
      : context_(std::move(context)) {}
  ~ServerSessionFactory() override;

  // Any thread.
  std::unique_ptr<Session> CreateSession() override;

  // Of all processes and threads. Any thread.
  const Counters& counters() const;

 private:
  const std::shared_ptr<ServerContext> context_;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_SERVER_SESSION_FACTORY_H_
