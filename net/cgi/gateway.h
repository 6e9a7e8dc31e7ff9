// Programs that answer HTTP requests: CGI/1.1, RFC 3875.
#ifndef QUINTET_NET_CGI_GATEWAY_H_
#define QUINTET_NET_CGI_GATEWAY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "net/cgi/options.h"
#include "net/http/router.h"

namespace quintet::cgi {

struct GatewayState;

// Answers what is asked for below Options::prefix with the programs of Options::directory. Shared
// by all loops of a process; each program runs on the loop of its request. On a transport without a
// loop (Transport::loop()) the answer is 501.
//
//   404   no such program, or one outside of the directory (cgi/program_file.h)
//   403   a file that may not be executed; a name that begins with "nph-"
//   411   a body without a length, which a program could not be told (section 4.1.2)
//   502   it could not be started, ended before its header, or wrote what is no header
//   503   too many programs run, or the system cannot start another; Retry-After says when to try
//   504   no header within Options::timeout
//
// What goes wrong later resets or cuts the connection, so that no reply passes for a whole one. The
// loop's log says which of all this it was, and has what programs write to standard error. Lines
// that clients alone can bring about are limited to kMaxClientLines in a second.
//
// A program that is no longer waited for (its client has gone, its time or output is used up) is
// killed with its process group. One that has closed its output and goes on is left alone until
// Options::timeout.
class Gateway {
 public:
  static constexpr int kRetryAfterSeconds = 1;
  static constexpr int kMaxClientLines = 10;

  // Errors: those of open(2) for the directory (NotFound, PermissionDenied, FailedPrecondition for
  // what is none); InvalidArgument for options that make no sense.
  static absl::StatusOr<Gateway> Create(Options options);

  // Registers GET (and so HEAD), POST, PUT, PATCH and DELETE below the prefix. The router may
  // outlive this.
  void Register(http::Router& router) const;

  // Programs that run at this moment, among them those that were killed and have not ended yet. Any
  // thread.
  int running() const;

 private:
  explicit Gateway(std::shared_ptr<GatewayState> state) : state_(std::move(state)) {}

  std::shared_ptr<GatewayState> state_;
};

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_GATEWAY_H_
