#include "apps/files/tree.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "net/files/path.h"

namespace quintet::files::app {
namespace {

ClientError TooMany() {
  return {.code = ErrorCode::kTooLong,
          .reason = CloseReason::kNone,
          .text = absl::StrCat("more than ", kMaxTreeEntries, " entries")};
}

}  // namespace

bool SafeName(std::string_view name) {
  return CheckPath(name) && name.find('/') == std::string_view::npos;
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty()) path += '/';
  return path.append(name);
}

std::string BaseName(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

Listing ListDirectory(Remote& remote, const std::string& path, bool directories) {
  Listing listing;
  listing.error = remote.Connect();
  if (listing.error.has_value()) return listing;
  bool done = false;
  ClientSession& session = *remote.session();
  ClientSession::RequestId id = 0;
  id = session.List(
      path, directories,
      [&](std::vector<Entry> entries) {
        if (listing.error.has_value()) return;
        if (listing.entries.size() + entries.size() > kMaxTreeEntries) {
          listing.error = TooMany();
          session.Cancel(id);
          done = true;
          return;
        }
        std::move(entries.begin(), entries.end(), std::back_inserter(listing.entries));
      },
      [&](const std::optional<ClientError>& error) {
        listing.error = error;
        done = true;
      });
  if (!remote.RunUntil([&] { return done; })) {
    if (!done) session.Cancel(id);
    listing.error = ClientError{.code = ErrorCode::kCancelled, .text = "interrupted"};
  }
  std::sort(listing.entries.begin(), listing.entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return listing;
}

RemoteTree WalkRemote(Remote& remote, const std::string& path) {
  RemoteTree result;
  Tree& tree = result.tree;
  std::deque<std::string> waiting = {""};  // below `path`
  while (!waiting.empty()) {
    const std::string directory = std::move(waiting.front());
    waiting.pop_front();
    Listing listing = ListDirectory(remote, directory.empty() ? path : JoinPath(path, directory),
                                    /*directories=*/true);
    if (listing.error.has_value()) {
      result.error = std::move(listing.error);
      return result;
    }
    for (const Entry& entry : listing.entries) {
      std::string below = JoinPath(directory, entry.name);
      if (!SafeName(entry.name) || path.size() + below.size() + 1 > kMaxPathBytes) {
        tree.refused.push_back(absl::StrCat(SafeText(below), ": refused: a bad name"));
        continue;
      }
      if (entry.kind == EntryKind::kDirectory) {
        tree.directories.push_back(below);
        waiting.push_back(std::move(below));
      } else {
        tree.bytes += entry.size;
        tree.files.push_back({.path = std::move(below), .size = entry.size});
      }
    }
    if (tree.files.size() + tree.directories.size() + tree.refused.size() > kMaxTreeEntries) {
      result.error = TooMany();
      return result;
    }
  }
  return result;
}

absl::StatusOr<Tree> WalkLocal(const std::string& path) {
  namespace fs = std::filesystem;
  Tree tree;
  std::error_code error;
  fs::recursive_directory_iterator entry(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string below = entry->path().lexically_relative(path).string();
    const fs::file_type type = entry->symlink_status(error).type();
    if (error) break;
    const bool directory = type == fs::file_type::directory;
    if (!SafeName(entry->path().filename().string())) {
      if (directory) entry.disable_recursion_pending();
      continue;  // hidden: no server would take it
    }
    if (directory) {
      tree.directories.push_back(below);
    } else if (type == fs::file_type::regular) {
      const uint64_t size = entry->file_size(error);
      if (error) break;
      tree.bytes += size;
      tree.files.push_back({.path = below, .size = size});
    } else {
      tree.refused.push_back(absl::StrCat(SafeText(below), ": left out: not a regular file"));
    }
    if (tree.files.size() + tree.directories.size() > kMaxTreeEntries) {
      return absl::ResourceExhaustedError(
          absl::StrCat(SafeText(path), ": more than ", kMaxTreeEntries, " entries"));
    }
  }
  if (error) return absl::UnavailableError(absl::StrCat(SafeText(path), ": ", error.message()));
  return tree;
}

}  // namespace quintet::files::app
