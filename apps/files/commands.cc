#include "apps/files/commands.h"

#include <errno.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "apps/files/download.h"
#include "apps/files/report.h"
#include "apps/files/tree.h"
#include "apps/files/upload.h"
#include "net/files/path.h"

namespace quintet::files::app {
namespace {

ExitCode Failed(const ClientError& error, const std::string& what = "") {
  if (error.code == ErrorCode::kCancelled) return ExitCode::kInterrupted;
  Report::Error(what.empty() || error.connection_lost()
                    ? error.ToString()
                    : absl::StrCat(SafeText(what), ": ", error.ToString()));
  return ExitCodeOf(error);
}
ExitCode Failed(ExitCode code, const std::string& text) {
  Report::Error(text);
  return code;
}
ExitCode WorseOf(ExitCode first, ExitCode second) {
  return first == ExitCode::kSuccess ? second : first;
}

bool IsDirectory(const std::string& path) {
  struct stat file {};
  return ::stat(path.c_str(), &file) == 0 && S_ISDIR(file.st_mode);
}

std::string Line(const Entry& entry, const Command& command) {
  const std::string slash = entry.kind == EntryKind::kDirectory ? "/" : "";
  std::string line;
  if (command.details) {
    const absl::Time modified = absl::FromUnixNanos(entry.modified);
    const std::string size = entry.kind == EntryKind::kDirectory ? "-" : std::to_string(entry.size);
    line = std::string(size.size() < 14 ? 14 - size.size() : 0, ' ') + size + "  " +
           absl::FormatTime("%Y-%m-%d %H:%M", modified, absl::LocalTimeZone()) + "  ";
  }
  if (command.null_ended) return line + entry.name + slash + std::string(1, '\0');
  return line + SafeText(entry.name) + slash + "\n";
}

ExitCode List(Remote& remote, const Command& command) {
  std::string path = command.paths.empty() ? "" : command.paths.front();
  while (path.ends_with('/')) path.pop_back();
  const Listing listing = ListDirectory(remote, path, /*directories=*/true);
  if (listing.error.has_value()) return Failed(*listing.error, path);
  std::string text;
  for (const Entry& entry : listing.entries) text += Line(entry, command);
  return Print(text) ? ExitCode::kSuccess
                     : Failed(ExitCode::kFailure, "cannot write to standard output");
}

// Makes a request that is answered without bytes.
ExitCode Ask(Remote& remote, const std::string& what,
             absl::FunctionRef<ClientSession::RequestId(ClientSession&, ClientSession::Done)> ask) {
  if (const auto error = remote.Connect(); error.has_value()) return Failed(*error);
  std::optional<ClientError> failure;
  bool done = false;
  ClientSession& session = *remote.session();
  const ClientSession::RequestId id = ask(session, [&](const std::optional<ClientError>& error) {
    failure = error;
    done = true;
  });
  if (!remote.RunUntil([&] { return done; })) {
    if (!done) session.Cancel(id);
    return ExitCode::kInterrupted;
  }
  return failure.has_value() ? Failed(*failure, what) : ExitCode::kSuccess;
}

std::string WithoutSlash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

ExitCode GetTree(Remote& remote, const Command& command, const DownloadOptions& options,
                 OnInterrupt on_interrupt) {
  std::string from = WithoutSlash(command.paths.front());
  if (from == "." || from == "/") from.clear();
  std::string to = command.paths.size() > 1 ? command.paths[1] : "";
  if (to.empty()) {
    to = from.empty() ? "." : BaseName(from);
  } else if (IsDirectory(to) && !from.empty()) {
    to = JoinPath(WithoutSlash(to), BaseName(from));
  }
  RemoteTree found = WalkRemote(remote, from);
  if (found.error.has_value()) {
    return remote.interrupted() ? ExitCode::kInterrupted : Failed(*found.error, from);
  }
  Tree& tree = found.tree;
  ExitCode code = tree.refused.empty() ? ExitCode::kSuccess : ExitCode::kRefused;
  for (const std::string& text : tree.refused) Report::Error(text);
  // In order, so that what lies above is there first.
  tree.directories.insert(tree.directories.begin(), "");
  for (const std::string& directory : tree.directories) {
    std::error_code error;
    const std::string path = directory.empty() ? to : JoinPath(to, directory);
    std::filesystem::create_directories(path, error);
    if (error) return Failed(ExitCode::kFailure, SafeText(path) + ": " + error.message());
  }
  const TransferPlan plan = {.count = tree.files.size(),
                             .make =
                                 [&](size_t index) {
                                   const std::string& path = tree.files[index].path;
                                   return std::make_shared<Download>(remote.loop(),
                                                                     JoinPath(from, path),
                                                                     JoinPath(to, path), options);
                                 },
                             .total_bytes = tree.bytes,
                             .parallel = command.parallel};
  return WorseOf(code, RunTransfers(remote, plan, {.quiet = command.quiet}, on_interrupt));
}

ExitCode Get(Remote& remote, const Command& command, OnInterrupt on_interrupt) {
  const DownloadOptions options = {
      .resume = command.resume, .verify = command.verify, .sync = command.sync};
  if (command.recursive) return GetTree(remote, command, options, on_interrupt);
  const std::string& from = command.paths.front();
  std::string to = command.paths.size() > 1 ? command.paths[1] : BaseName(from);
  if (IsDirectory(to) || to.ends_with('/')) to = JoinPath(WithoutSlash(to), BaseName(from));
  const TransferPlan plan = {.count = 1, .make = [&](size_t) {
                               return std::make_shared<Download>(remote.loop(), from, to, options);
                             }};
  return RunTransfers(remote, plan, {.quiet = command.quiet}, on_interrupt);
}

ExitCode PutTree(Remote& remote, const Command& command, OnInterrupt on_interrupt) {
  const std::string from = WithoutSlash(command.paths.front());
  std::string to = WithoutSlash(command.paths.size() > 1 ? command.paths[1] : BaseName(from));
  if (to == "." || to == "/" || to == "..") to.clear();
  const absl::StatusOr<Tree> tree = WalkLocal(from);
  if (!tree.ok()) return Failed(ExitCode::kFailure, std::string(tree.status().message()));
  for (const std::string& text : tree->refused) Report::Error(text);
  const TransferPlan plan = {
      .count = tree->files.size(),
      .make =
          [&](size_t index) {
            const std::string& path = tree->files[index].path;
            return std::make_shared<Upload>(
                remote.loop(), JoinPath(from, path), JoinPath(to, path),
                UploadOptions{.resume = command.resume, .make_directories = true});
          },
      .total_bytes = tree->bytes,
      .parallel = command.parallel};
  return WorseOf(RunTransfers(remote, plan, {.quiet = command.quiet}, on_interrupt),
                 tree->refused.empty() ? ExitCode::kSuccess : ExitCode::kFailure);
}

ExitCode Put(Remote& remote, const Command& command, OnInterrupt on_interrupt) {
  if (command.recursive) return PutTree(remote, command, on_interrupt);
  const std::string& from = command.paths.front();
  std::string to = command.paths.size() > 1 ? command.paths[1] : BaseName(from);
  if (to.ends_with('/')) to += BaseName(from);
  const TransferPlan plan = {.count = 1, .make = [&](size_t) {
                               return std::make_shared<Upload>(
                                   remote.loop(), from, to,
                                   UploadOptions{.resume = command.resume});
                             }};
  return RunTransfers(remote, plan, {.quiet = command.quiet}, on_interrupt);
}

}  // namespace

ExitCode RunCommand(Remote& remote, const Command& command, OnInterrupt on_interrupt) {
  switch (command.kind) {
    case CommandKind::kList:
      return List(remote, command);
    case CommandKind::kGet:
      return Get(remote, command, on_interrupt);
    case CommandKind::kPut:
      return Put(remote, command, on_interrupt);
    case CommandKind::kRemove:
      return Ask(remote, command.paths.front(),
                 [&](ClientSession& session, ClientSession::Done done) {
                   return session.Delete(command.paths.front(), std::move(done));
                 });
    case CommandKind::kMove:
      return Ask(remote, command.paths.front(),
                 [&](ClientSession& session, ClientSession::Done done) {
                   return session.Rename(command.paths[0], command.paths[1], std::move(done));
                 });
    case CommandKind::kQuit:
    case CommandKind::kHelp:
    case CommandKind::kInteractive:
      break;
  }
  return ExitCode::kUsage;
}

}  // namespace quintet::files::app
