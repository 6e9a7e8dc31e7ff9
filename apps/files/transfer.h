// What downloads and uploads have in common.
#ifndef QUINTET_APPS_FILES_TRANSFER_H_
#define QUINTET_APPS_FILES_TRANSFER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "apps/files/exit_code.h"
#include "net/files/client_session.h"

namespace quintet::files::app {

struct TransferFailure {
  ExitCode code = ExitCode::kFailure;
  std::string text;  // printable
  bool connection_lost = false;
};
// `error`, of `name`.
inline TransferFailure FailureOf(const ClientError& error, const std::string& text) {
  return {.code = ExitCodeOf(error), .text = text, .connection_lost = error.connection_lost()};
}

// One file on its way. Loop's thread only.
class Transfer {
 public:
  using Done = absl::AnyInvocable<void(const std::optional<TransferFailure>& failure)>;
  virtual ~Transfer() = default;

  // `done` is called once, in a later callback of the loop or of the session, which must be ready;
  // not called where the transfer was cancelled.
  virtual void Start(ClientSession& session, Done done) = 0;
  // Ends it, and what is there waits to be resumed. The connection is as usable as before.
  virtual void Cancel() = 0;

  // How far it is, and of how much: kUnknown until the server has said it.
  virtual uint64_t bytes() const = 0;
  virtual uint64_t total() const = 0;
  virtual const std::string& name() const = 0;
};

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_TRANSFER_H_
