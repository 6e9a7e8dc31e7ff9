#include "apps/echo/echo_program.h"

#include <memory>
#include <vector>

#include "apps/echo/echo_session.h"
#include "apps/program/session_timeout_settings.h"
#include "apps/program/setting.h"
#include "apps/program/settings.h"
#include "apps/program/value.h"
#include "net/address.h"

namespace quintet::echo {
namespace {

using program::Config;
using program::Own;
using program::Setting;

// Far above any answer that is worth a demonstration, far below the marks of the output.
constexpr size_t kMaxReplyBytes = 1024;

std::vector<Setting> OwnSettings() {
  std::vector<Setting> settings = program::SessionTimeoutSettings(
      [](auto& config) -> auto& { return Own<EchoOptions>(config).timeouts; });
  settings.push_back(program::Row(
      {"echo", "reply", "reply",
       "Answers each message with this text and a line feed and sends nothing back. A message is a "
       "line, of any length, also an empty one, however its bytes arrive; what follows the last "
       "line feed is one when the client ends its side. Empty: an echo."},
      program::TextValue(kMaxReplyBytes),
      [](auto& config) -> auto& { return Own<EchoOptions>(config).reply; }));
  return settings;
}

Config Defaults() {
  Config config;
  config.server.addresses = {*Address::Parse("127.0.0.1:7007")};
  config.own = EchoOptions();
  return config;
}

}  // namespace

const program::Program& EchoProgram() {
  static const auto& echo = *new program::Program{
      .name = "echo",
      .about = "sends back what it gets (RFC 862), or with --reply TEXT answers each line.",
      .example =
          "    [timeouts]\n"
          "    idle = \"30s\"\n\n"
          "    [echo]\n"
          "    reply = \"OK\"\n",
      .defaults = Defaults(),
      .settings = program::SettingsWith(OwnSettings()),
      .sessions = [](const Config& config) -> absl::StatusOr<std::unique_ptr<SessionFactory>> {
        return std::make_unique<EchoFactory>(Own<EchoOptions>(config));
      }};
  return echo;
}

}  // namespace quintet::echo
