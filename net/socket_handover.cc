#include "net/socket_handover.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/inherited_sockets.h"

namespace quintet {
namespace {

constexpr std::string_view kPidPrefix = "LISTEN_PID=";
constexpr std::array<std::string_view, 3> kPrefixes = {kPidPrefix,
                                                       "LISTEN_FDS=", "LISTEN_FDNAMES="};
// Any process id, with the NUL that ends it.
constexpr size_t kPidRoom = 20;

bool IsOurs(std::string_view entry) {
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [entry](std::string_view prefix) { return entry.starts_with(prefix); });
}

}  // namespace

absl::StatusOr<SocketHandover> SocketHandover::Create(std::span<const int> descriptors,
                                                      std::span<const std::string> names,
                                                      std::span<const std::string> environment) {
  if (descriptors.size() > static_cast<size_t>(kMaxInheritedSockets)) {
    return absl::InvalidArgumentError(absl::StrCat("handing over ", descriptors.size(),
                                                   " sockets, more than ", kMaxInheritedSockets));
  }
  if (!names.empty() && names.size() != descriptors.size()) {
    return absl::InvalidArgumentError(absl::StrCat("handing over ", descriptors.size(),
                                                   " sockets with ", names.size(), " names"));
  }
  for (const std::string& name : names) {
    if (IsInheritedSocketName(name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("handing over a socket: the name \"", name, "\" is not allowed"));
  }

  SocketHandover result;
  result.descriptors_.assign(descriptors.begin(), descriptors.end());
  std::copy_if(environment.begin(), environment.end(), std::back_inserter(result.entries_),
               [](const std::string& entry) { return !IsOurs(entry); });
  const size_t pid_entry = result.entries_.size();
  if (!descriptors.empty()) {
    result.entries_.push_back(std::string(kPidPrefix) + std::string(kPidRoom, '\0'));
    result.entries_.push_back(absl::StrCat("LISTEN_FDS=", descriptors.size()));
    if (!names.empty()) {
      result.entries_.push_back(absl::StrCat("LISTEN_FDNAMES=", absl::StrJoin(names, ":")));
    }
  }
  for (std::string& entry : result.entries_) result.pointers_.push_back(entry.data());
  if (!descriptors.empty()) result.pid_digits_ = result.pointers_[pid_entry] + kPidPrefix.size();
  result.pointers_.push_back(nullptr);
  return result;
}

int SocketHandover::end() const {
  return kFirstInheritedDescriptor + static_cast<int>(descriptors_.size());
}

int SocketHandover::Place() {
  if (descriptors_.empty()) return 0;
  // One that stands where another is to go would be overwritten before its own turn.
  for (int& descriptor : descriptors_) {
    if (descriptor < kFirstInheritedDescriptor || descriptor >= end()) continue;
    const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, end());
    if (moved < 0) return -errno;
    descriptor = moved;
  }
  int target = kFirstInheritedDescriptor;
  for (const int descriptor : descriptors_) {
    // The new descriptor is not close-on-exec, whatever the old one is (dup(2)).
    int placed = -1;
    do {
      placed = ::dup2(descriptor, target);
    } while (placed < 0 && errno == EINTR);
    if (placed < 0) return -errno;
    ++target;
  }
  const std::to_chars_result written =
      std::to_chars(pid_digits_, pid_digits_ + kPidRoom - 1, ::getpid());
  *written.ptr = '\0';
  return 0;
}

}  // namespace quintet
