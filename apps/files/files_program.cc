#include "apps/files/files_program.h"

#include <netinet/in.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "apps/program/setting.h"
#include "apps/program/settings.h"
#include "apps/program/value.h"
#include "net/address.h"
#include "net/files/authentication.h"
#include "net/files/server_session_factory.h"

namespace quintet::files::app {
namespace {

using program::BooleanValue;
using program::Config;
using program::Own;
using program::PathValue;
using program::Row;
using program::Setting;
using program::TimeoutValue;

// An exbibyte: above any disk, and far from where sums would not fit.
constexpr uint64_t kMaxBytes = uint64_t{1} << 60;
// Each has its own output, and its own place in memory.
constexpr uint32_t kMaxRequests = 1024;
constexpr uint32_t kMaxTransfers = 1'000'000;

program::ValueType<Durability> DurabilityValue() {
  return program::OneOf<Durability>({{"none", Durability::kNone},
                                     {"file", Durability::kFile},
                                     {"directory", Durability::kDirectory}});
}

std::vector<Setting> OwnSettings() {
  return {
      Row(
          {"files", "root", "root", "The directory that is served; has to be named."}, PathValue(),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.root; }),
      Row(
          {"files", "read_only", "read-only", "Nothing is stored, deleted or renamed."},
          BooleanValue(),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.read_only; }),
      Row(
          {"files", "secret_file", "secret-file",
           "A file with the secret that clients have to know, which others than owner and group "
           "may "
           "not read; empty: everybody is let in."},
          PathValue(), [](auto& config) -> auto& { return Own<FilesConfig>(config).secret_file; }),
      Row(
          {"files", "fsync", "fsync",
           "What is on the disk when a put is answered: nothing for certain, the file's content, "
           "or "
           "its name in the directory as well."},
          DurabilityValue(),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.durability; }),
      Row(
          {"files", "partial_lifetime", "partial-lifetime",
           "How long an upload that broke off waits to be resumed; 0s: for ever."},
          TimeoutValue(),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.partial_lifetime; }),
      Row(
          {"files", "max_file_size", "max-file-size", "Of a file that is stored; 0: none."},
          program::Size<uint64_t>(0, kMaxBytes),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.limits.file_bytes; }),
      Row(
          {"files", "max_total_size", "max-total-size",
           "Of all files below the root, which are counted at the start; 0: none."},
          program::Size<uint64_t>(0, kMaxBytes), [](auto& config) -> auto& {
            return Own<FilesConfig>(config).options.limits.total_bytes;
          }),
      Row(
          {"files", "max_transfers", "max-transfers",
           "Gets and puts at a time, of all connections; 0: none."},
          program::Integer<uint32_t>(0, kMaxTransfers),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.limits.transfers; }),
      Row(
          {"files", "max_requests", "max-requests", "At a time on one connection."},
          program::Integer<uint32_t>(1, kMaxRequests),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.limits.requests; }),
      Row(
          {"files", "rate", "rate",
           "Bytes in a second, of one connection and in each direction; 0: no limit."},
          program::Size<uint64_t>(0, kMaxBytes), [](auto& config) -> auto& {
            return Own<FilesConfig>(config).options.limits.bytes_per_second;
          }),
      Row(
          {"timeouts", "idle", "idle-timeout",
           "Without a request, and in the middle of one that does not go on; 0s: none."},
          TimeoutValue(),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.timeouts.idle; }),
      Row(
          {"timeouts", "stall", "stall-timeout",
           "A put that waits for its client's bytes, then it fails; 0s: none."},
          TimeoutValue(),
          [](auto& config) -> auto& { return Own<FilesConfig>(config).options.timeouts.stall; }),
      Row(
          {"timeouts", "authentication", "authentication-timeout",
           "From the accept to the proof of the secret; 0s: none."},
          TimeoutValue(), [](auto& config) -> auto& {
            return Own<FilesConfig>(config).options.timeouts.authentication;
          }),
  };
}

Config Defaults() {
  Config config;
  config.server.addresses = {*Address::Parse(kDefaultAddress)};
  config.own = FilesConfig();
  return config;
}

bool BeyondThisMachine(const Address& address) {
  if (address.is_unix()) return false;
  if (address.family() == AF_INET) {
    const auto* ip = reinterpret_cast<const sockaddr_in*>(address.data());
    return ntohl(ip->sin_addr.s_addr) >> 24 != 127;
  }
  return !IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr);
}

std::vector<std::string> Warnings(const Config& config) {
  if (!Own<FilesConfig>(config).secret_file.empty()) return {};
  for (const Address& address : config.server.addresses) {
    if (BeyondThisMachine(address)) {
      return {
          address.ToString() +
          " can be reached from other machines, and there is no --secret-file: whoever connects "
          "may " +
          (Own<FilesConfig>(config).options.read_only ? "read" : "read and change") +
          " what is served"};
    }
  }
  return {};
}

absl::StatusOr<std::unique_ptr<SessionFactory>> Sessions(const Config& config) {
  const FilesConfig& own = Own<FilesConfig>(config);
  if (own.options.root.empty()) {
    return absl::InvalidArgumentError("--root DIR names the directory to be served");
  }
  Options options = own.options;
  if (!own.secret_file.empty()) {
    absl::StatusOr<Secret> secret = Secret::Load(own.secret_file);
    if (!secret.ok()) return secret.status();
    options.secret = std::make_shared<const Secret>(*std::move(secret));
  }
  return ServerSessionFactory::Create(std::move(options));
}

}  // namespace

const program::Program& FilesProgram() {
  static const auto& files = *new program::Program{
      .name = "files",
      .subcommand = "serve",
      .about = "serves the files below a directory. The client: files --help.",
      .example =
          "    [files]\n"
          "    root = \"/srv/files\"\n"
          "    secret_file = \"/etc/quintet/files.secret\"\n"
          "    max_file_size = \"10GiB\"\n",
      .defaults = Defaults(),
      .settings = program::SettingsWith(OwnSettings()),
      .sessions = Sessions,
      .warnings = Warnings};
  return files;
}

}  // namespace quintet::files::app
