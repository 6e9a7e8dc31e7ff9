#include "net/cgi/gateway.h"

#include <errno.h>
#include <fcntl.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "net/cgi/gateway_state.h"
#include "net/cgi/program_file.h"
#include "net/cgi/program_run.h"
#include "net/cgi/request.h"
#include "net/errno_status.h"
#include "net/http/exchange.h"
#include "net/http/status.h"
#include "net/unique_fd.h"
#include "reactor/event_loop.h"

namespace quintet::cgi {
namespace {

void Refuse(GatewayState& state, http::Exchange& exchange, int status, std::string_view why) {
  EventLoop& loop = *exchange.loop();
  if (loop.log() && state.MayLog(loop.now(), Gateway::kMaxClientLines)) {
    const std::string path = absl::CEscape(std::string(exchange.request().path()));
    loop.log()(LogLevel::kWarning,
               absl::StrCat("cgi: ", path, ": ", status, ": ", std::string(why)));
  }
  if (status == 503) {
    exchange.response().AddField("Retry-After", std::to_string(Gateway::kRetryAfterSeconds));
  }
  exchange.Reply(status, http::StatusReason(status));
}

int StatusOf(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) return 503;
  // The file was there and executable: its interpreter is not, or it is no program.
  return absl::IsPermissionDenied(status) ? 403 : 502;
}

std::vector<std::string> EnvironmentOf(const Options& options, const ProgramFile& program,
                                       const std::string& script_name,
                                       const http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  const std::string filename = options.directory + "/" + program.name;
  Request told;
  told.method = request.method();
  told.http_minor_version = request.minor_version();
  told.target = request.target();
  told.query = request.query();
  told.host = request.host();
  told.fields = request.fields();
  if (request.has_body()) told.content_length = request.content_length();
  told.script_name = script_name;
  told.script_filename = filename;
  told.path_info = program.path_info;
  told.document_root = options.directory;
  if (auto peer = exchange.PeerAddress(); peer.ok()) told.peer = *std::move(peer);
  if (auto local = exchange.LocalAddress(); local.ok()) told.local = *std::move(local);
  return MakeEnvironment(told, options.environment);
}

void Handle(const std::shared_ptr<GatewayState>& state, http::Exchange& exchange) {
  const Options& options = state->options;
  EventLoop* const loop = exchange.loop();
  if (loop == nullptr) return exchange.Reply(501, http::StatusReason(501));
  const http::Request& request = exchange.request();
  ProgramFile program = FindProgram(options.directory, request.path_rest());
  if (program.status != 0) return Refuse(*state, exchange, program.status, program.error);
  if (request.has_body() && !request.content_length().has_value()) {
    return Refuse(*state, exchange, 411, "a body without Content-Length");
  }
  ProgramSlot slot = ProgramSlot::Take(state);
  if (!slot) {
    return Refuse(*state, exchange, 503,
                  absl::StrCat("as many programs run as may: ", options.max_programs));
  }
  const std::string script_name = options.prefix + program.name;
  const absl::Status started =
      ProgramRun::Start(std::move(slot), exchange, script_name, program,
                        EnvironmentOf(options, program, script_name, exchange));
  if (!started.ok()) {
    Refuse(*state, exchange, StatusOf(started), std::string(started.message()));
  }
}

}  // namespace

absl::StatusOr<Gateway> Gateway::Create(Options options) {
  if (!options.prefix.starts_with('/') || !options.prefix.ends_with('/')) {
    return absl::InvalidArgumentError("the prefix of CGI programs does not begin and end with /");
  }
  if (options.max_programs < 1 || options.timeout <= Duration::zero()) {
    return absl::InvalidArgumentError("CGI programs need a timeout, and at least one of them");
  }
  // Servers leave their working directory (daemons do), and workers are forked later.
  std::error_code error;
  const auto absolute = std::filesystem::absolute(options.directory, error);
  if (!error) options.directory = absolute.lexically_normal().string();
  while (options.directory.size() > 1 && options.directory.ends_with('/')) {
    options.directory.pop_back();
  }
  const UniqueFd directory(::open(options.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    return ErrnoStatus(errno, "the directory of CGI programs, " + options.directory);
  }
  return Gateway(std::make_shared<GatewayState>(std::move(options)));
}

void Gateway::Register(http::Router& router) const {
  for (const char* const method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    router.Handle(method, state_->options.prefix + "*",
                  [state = state_](http::Exchange& exchange) { Handle(state, exchange); },
                  {.body = http::RouteOptions::Body::kStream, .body_bytes = {}});
  }
}

int Gateway::running() const { return state_->running.load(std::memory_order_relaxed); }

}  // namespace quintet::cgi
