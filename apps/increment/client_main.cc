#include "apps/increment/client_main.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/increment/increment_client.h"
#include "apps/increment/increment_program.h"
#include "apps/program/settings.h"
#include "apps/program/standard_streams.h"
#include "net/address.h"

namespace quintet::increment {
namespace {

constexpr int kSuccess = 0;
constexpr int kFailure = 1;
constexpr int kUsage = 2;

int Fail(int code, const std::string& message) {
  const std::string line = "increment: " + message + "\n";
  std::fputs(line.c_str(), stderr);
  return code;
}

}  // namespace

int ClientMain(const std::vector<std::string>& arguments) {
  if (absl::Status status = program::EnsureStandardStreams(); !status.ok()) {
    return Fail(kFailure, std::string(status.message()));
  }
  const program::ValueType<Duration> duration = program::TimeoutValue();
  std::string byte;
  std::string server = kDefaultAddress;
  std::string timeout = duration.print(IncrementClientOptions().timeout);
  CLI::App app("Sends one byte to an increment server and prints the answer.", "increment client");
  app.add_option("CHAR", byte, "The byte to send.")->required()->type_name("");
  app.add_option("ADDRESS", server, "Where the server listens: " + program::AddressValue().allowed)
      ->type_name("")
      ->capture_default_str();
  app.add_option("--timeout", timeout, "For the connection, and again for the answer.")
      ->type_name("DURATION")
      ->capture_default_str();
  try {
    // In the order of a stack, as CLI11 wants it.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    return std::fputs(app.help().c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? kFailure
                                                                                  : kSuccess;
  } catch (const CLI::Error& error) {
    return Fail(kUsage, error.what());
  }
  if (byte.size() != 1) {
    return Fail(kUsage, "CHAR: " + program::TomlString(byte) + " is not one byte");
  }
  const absl::StatusOr<Address> address = Address::Parse(server);
  if (!address.ok()) return Fail(kUsage, std::string(address.status().message()));
  const absl::StatusOr<Duration> patience = duration.parse(timeout);
  if (!patience.ok() || *patience == Duration::zero()) {
    return Fail(kUsage, "--timeout: " + program::TomlString(timeout) +
                            " is not allowed; allowed: above 0s, " + duration.allowed);
  }

  const absl::StatusOr<unsigned char> answer =
      AskForIncrement(*address, static_cast<unsigned char>(byte.front()), {.timeout = *patience});
  if (!answer.ok()) return Fail(kFailure, std::string(answer.status().message()));
  // The byte as it is: what it means is a matter of the terminal.
  if (std::printf("char from server = %c\n", *answer) < 0 || std::fflush(stdout) != 0) {
    return Fail(kFailure, "cannot write to standard output");
  }
  return kSuccess;
}

}  // namespace quintet::increment
