// What the hello server answers.
#ifndef QUINTET_APPS_HELLO_HELLO_SERVICE_H_
#define QUINTET_APPS_HELLO_HELLO_SERVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "net/cgi/options.h"
#include "net/http/options.h"
#include "net/session.h"

namespace quintet::hello {

// HTTP sessions with these routes:
//
//   GET /         200, text/plain, "Hello, World!"
//   POST /echo    200, the body of the request piece by piece as it comes, however long; while the
//                 client does not read, no more of it is taken
//   GET /client   200, text/plain, the client's address, as 127.0.0.1:54321: the other end of the
//                 connection, or whom a PROXY header named
//   GET /healthz  200, text/plain, "ok"; 503, "stopping", from when the server has begun to stop,
//                 so that a balancer sends new connections elsewhere
//
// and, where `cgi` names a directory, its programs below /cgi-bin/ (net/cgi/gateway.h). Errors:
// InvalidArgument (limits that no request could keep), those of cgi::Gateway::Create().
absl::StatusOr<std::unique_ptr<SessionFactory>> CreateHelloService(const http::Options& options,
                                                                   const cgi::Options& cgi = {});

}  // namespace quintet::hello

#endif  // QUINTET_APPS_HELLO_HELLO_SERVICE_H_
