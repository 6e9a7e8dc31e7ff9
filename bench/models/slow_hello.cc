// The hello server with a handler that takes its time: the classic slow request, which waits for a
// disk, a database or another server. It really blocks its thread, as such code does, under every
// model; a reactor should be given no such handler (docs/models.md).
//
// usage: as hello
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/hello/hello_program.h"
#include "apps/program/config.h"
#include "apps/program/program.h"
#include "net/http/exchange.h"
#include "net/http/router.h"
#include "net/http/server_session_factory.h"
#include "net/session.h"

namespace quintet::bench {
namespace {

constexpr auto kHandlerTime = std::chrono::milliseconds(10);

absl::StatusOr<std::unique_ptr<SessionFactory>> CreateService(const program::Config& config) {
  http::Router router;
  router.Get("/", [](http::Exchange& exchange) {
    std::this_thread::sleep_for(kHandlerTime);
    exchange.Reply(200, "Hello, World!");
  });
  return http::ServerSessionFactory::Create(std::move(router), hello::OptionsOf(config).http);
}

const program::Program& SlowHello() {
  static const auto& slow_hello = *[] {
    auto* const program = new program::Program(hello::HelloProgram());
    program->name = "slow_hello";
    program->about = "GET / answers \"Hello, World!\" after 10 ms, for which it blocks its thread.";
    program->sessions = CreateService;
    return program;
  }();
  return slow_hello;
}

}  // namespace
}  // namespace quintet::bench

int main(int argc, char** argv) {
  return quintet::program::Main(quintet::bench::SlowHello(),
                                std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
