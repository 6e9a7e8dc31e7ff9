// A TCP echo server: sends back what it receives. usage: echo [ADDRESS [BACKEND]]
#include <cstdio>
#include <string>
#include <string_view>

#include "apps/echo/echo_session.h"
#include "net/server.h"

namespace {

int Fail(std::string_view message) {
  std::fprintf(stderr, "echo: %.*s\n", static_cast<int>(message.size()), message.data());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto address = quintet::Address::Parse(argc > 1 ? argv[1] : "127.0.0.1:7007");
  if (!address.ok()) return Fail(address.status().ToString());
  const auto backend = quintet::ParseBackendKind(argc > 2 ? argv[2] : "auto");
  if (!backend) return Fail("unknown backend");

  quintet::ServerOptions options;
  options.addresses = {*address};
  options.loop.backend.kind = *backend;
  quintet::echo::EchoFactory sessions;
  const auto server = quintet::Server::Create(options, sessions);
  if (!server.ok()) return Fail(server.status().ToString());
  if (const auto status = (*server)->StopOnSignals(); !status.ok()) return Fail(status.ToString());
  std::fprintf(stderr, "echo: listening on %s\n",
               (*server)->addresses().front().ToString().c_str());
  const auto status = (*server)->Run();
  return status.ok() ? 0 : Fail(status.ToString());
}
