// The hello server: an HTTP/1.1 server that shows every backend and every setting of Quintet.
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/hello/hello_service.h"
#include "apps/program/load.h"
#include "apps/program/report.h"
#include "apps/program/serve.h"
#include "apps/program/standard_streams.h"
#include "net/session.h"
#include "reactor/backend_factory.h"
#include "reactor/version.h"

namespace quintet::hello {
namespace {

constexpr int kSuccess = 0;
constexpr int kFailure = 1;
constexpr int kUsage = 2;

int Fail(int code, const absl::Status& status) {
  const std::string line = "hello: " + std::string(status.message()) + "\n";
  std::fputs(line.c_str(), stderr);
  return code;
}

int Print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    return Fail(kFailure, absl::UnavailableError("cannot write to standard output"));
  }
  return kSuccess;
}

int Main(const std::vector<std::string>& arguments) {
  if (absl::Status status = EnsureStandardStreams(); !status.ok()) return Fail(kFailure, status);
  const absl::StatusOr<CommandLine> command_line = ParseCommandLine(arguments);
  if (!command_line.ok()) return Fail(kUsage, command_line.status());
  switch (command_line->action) {
    case Action::kHelp:
      return Print(HelpText());
    case Action::kHelpMarkdown:
      return Print(ConfigurationMarkdown());
    case Action::kVersion:
      return Print(std::string("hello ") + Version() + "\n");
    case Action::kListBackends:
      return Print(BackendTable(AvailableBackends()));
    case Action::kPrintConfig:
    case Action::kCheckConfig:
    case Action::kServe:
      break;
  }
  const Environment environment = ProcessEnvironment();
  const absl::StatusOr<LoadedConfig> loaded = Load(*command_line, environment);
  if (!loaded.ok()) return Fail(kUsage, loaded.status());
  const absl::StatusOr<std::unique_ptr<SessionFactory>> service =
      CreateHelloService(loaded->config.http);
  if (!service.ok()) return Fail(kUsage, service.status());
  if (command_line->action == Action::kPrintConfig) return Print(ConfigText(*loaded));
  if (command_line->action == Action::kCheckConfig) return Print("the configuration is valid\n");
  const absl::Status served = Serve(*command_line, environment, *loaded, arguments);
  return served.ok() ? kSuccess : Fail(kFailure, served);
}

}  // namespace
}  // namespace quintet::hello

int main(int argc, char** argv) {
  return quintet::hello::Main(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
