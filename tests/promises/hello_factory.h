// The HTTP service that the promise tests talk to.
#ifndef QUINTET_TESTS_PROMISES_HELLO_FACTORY_H_
#define QUINTET_TESTS_PROMISES_HELLO_FACTORY_H_

#include <memory>

#include "net/http/options.h"
#include "net/http/wall_clock.h"
#include "net/session.h"

namespace quintet::testing {

// GET / says "Hello, World!", POST /echo streams the body back, POST /whole sends it back when it
// is complete, GET /later is answered by another thread.
std::unique_ptr<SessionFactory> MakeHelloFactory(
    const http::Options& options = {}, std::shared_ptr<const http::WallClock> clock = nullptr);

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_PROMISES_HELLO_FACTORY_H_
