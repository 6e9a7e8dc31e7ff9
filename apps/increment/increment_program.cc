#include "apps/increment/increment_program.h"

#include <memory>

#include "apps/increment/increment_session.h"
#include "apps/program/session_deadlines.h"
#include "apps/program/session_timeout_settings.h"
#include "apps/program/settings.h"
#include "net/address.h"

namespace quintet::increment {
namespace {

using program::Config;
using program::Own;
using program::SessionTimeouts;

Config Defaults() {
  Config config;
  config.server.addresses = {*Address::Parse(kDefaultAddress)};
  config.own = SessionTimeouts();
  return config;
}

}  // namespace

const program::Program& IncrementProgram() {
  static const auto& increment = *new program::Program{
      .name = "increment",
      .about =
          "answers one byte with that byte plus one, and closes; 0 follows 255. The client: "
          "increment client CHAR [ADDRESS], see increment client --help.",
      .example =
          "    [timeouts]\n"
          "    idle = \"30s\"\n",
      .defaults = Defaults(),
      .settings = program::SettingsWith(program::SessionTimeoutSettings(
          [](auto& config) -> auto& { return Own<SessionTimeouts>(config); })),
      .sessions = [](const Config& config) -> absl::StatusOr<std::unique_ptr<SessionFactory>> {
        return std::make_unique<IncrementFactory>(Own<SessionTimeouts>(config));
      }};
  return increment;
}

}  // namespace quintet::increment
