// What is below a directory, there and here.
#ifndef QUINTET_APPS_FILES_TREE_H_
#define QUINTET_APPS_FILES_TREE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/files/remote.h"
#include "net/files/client_error.h"

namespace quintet::files::app {

// A server, or a disk, with more than that is not walked to the end: the list is in memory.
inline constexpr size_t kMaxTreeEntries = 1'000'000;

struct TreeFile {
  std::string path;  // below the directory, without a slash at its front
  uint64_t size = 0;
};
struct Tree {
  std::vector<TreeFile> files;
  std::vector<std::string> directories;  // those above come first
  uint64_t bytes = 0;
  // Names that were left out, printable, each with the reason.
  std::vector<std::string> refused;
};

// Whether `name`, which a server has said, is one component of a path and nothing else: what is
// made of it stays in the directory in which it was listed.
bool SafeName(std::string_view name);
// "a/b" of "a" and "b"; "b" where the directory is empty.
std::string JoinPath(std::string_view directory, std::string_view name);
// The last component.
std::string BaseName(std::string_view path);

// All entries of one directory of the server, sorted by name.
struct Listing {
  std::vector<Entry> entries;
  std::optional<ClientError> error;
};
// Connects where that is needed. ErrorCode::kCancelled after Ctrl-C.
Listing ListDirectory(Remote& remote, const std::string& path, bool directories);

// All below the directory `path` of the server. Names that are not safe are left out.
struct RemoteTree {
  Tree tree;
  std::optional<ClientError> error;
};
RemoteTree WalkRemote(Remote& remote, const std::string& path);

// All below a local directory that a server would serve: regular files without a dot at their
// front, not through symbolic links. The error names what cannot be read.
absl::StatusOr<Tree> WalkLocal(const std::string& path);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_TREE_H_
