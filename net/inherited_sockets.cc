#include "net/inherited_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "net/errno_status.h"

namespace quintet {
namespace {

// The value of a variable, which is then removed.
std::optional<std::string> Take(const char* name) {
  const char* const value = ::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string copy = value;
  ::unsetenv(name);
  return copy;
}

// The whole of `text` as a decimal number from 1 to `max`.
std::optional<int> ParsePositive(std::string_view text, int max) {
  int value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 1 || value > max) return std::nullopt;
  return value;
}

absl::Status Malformed(const char* name, const std::string& value, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("environment ", name, ": \"", value, "\" ", what));
}

// A socket option that is an integer.
absl::Status AskOption(int fd, int option, int& value) {
  socklen_t length = sizeof(value);
  if (::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0) return absl::OkStatus();
  const int error = errno;
  return absl::InvalidArgumentError(ErrnoStatus(error, "is no socket").message());
}

// Looks only. The error says what is wrong with the descriptor, not which one it is.
absl::StatusOr<Address> CheckListening(int fd) {
  if (::fcntl(fd, F_GETFD) < 0) {
    const int error = errno;
    return absl::InvalidArgumentError(ErrnoStatus(error, "is not open").message());
  }
  int type = 0;
  if (absl::Status status = AskOption(fd, SO_TYPE, type); !status.ok()) return status;
  if (type != SOCK_STREAM) return absl::InvalidArgumentError("is no stream socket");
  int listening = 0;
  if (absl::Status status = AskOption(fd, SO_ACCEPTCONN, listening); !status.ok()) return status;
  if (listening == 0) return absl::InvalidArgumentError("is a socket that does not listen");
  // Borrowed: the descriptor is not ours before all of them are found to be good.
  Socket borrowed(fd);
  absl::StatusOr<Address> address = borrowed.LocalAddress();
  static_cast<void>(borrowed.Release());
  if (address.ok()) return address;
  return absl::InvalidArgumentError(
      absl::StrCat("listens where this library cannot: ", address.status().message()));
}

absl::Status AddFlag(int fd, int get, int set, int flag, const char* name) {
  const int flags = ::fcntl(fd, get);
  if (flags >= 0 && ::fcntl(fd, set, flags | flag) == 0) return absl::OkStatus();
  const int error = errno;
  return ErrnoStatus(error, absl::StrCat("set ", name, " of descriptor ", fd));
}

absl::Status Prepare(InheritedSocket& inherited) {
  const int fd = inherited.socket.fd();
  absl::Status status = AddFlag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, "FD_CLOEXEC");
  if (status.ok()) status = AddFlag(fd, F_GETFL, F_SETFL, O_NONBLOCK, "O_NONBLOCK");
  if (status.ok() && !inherited.address.is_unix()) status = inherited.socket.SetNoDelay(true);
  return status;
}

absl::StatusOr<std::vector<std::string>> ParseNames(const std::optional<std::string>& text,
                                                    int count) {
  if (!text) return std::vector<std::string>(static_cast<size_t>(count));
  std::vector<std::string> names = absl::StrSplit(*text, ':');
  if (names.size() != static_cast<size_t>(count)) {
    return Malformed("LISTEN_FDNAMES", *text,
                     absl::StrCat("has ", names.size(), " names, but LISTEN_FDS is ", count));
  }
  if (!std::all_of(names.begin(), names.end(), IsInheritedSocketName)) {
    return Malformed("LISTEN_FDNAMES", *text,
                     absl::StrCat("has a name that is not printable ASCII of at most ",
                                  kMaxInheritedNameBytes, " bytes"));
  }
  return names;
}

}  // namespace

bool IsInheritedSocketName(std::string_view name) {
  return name.size() <= kMaxInheritedNameBytes && std::all_of(name.begin(), name.end(), [](char c) {
           return c >= ' ' && c <= '~' && c != ':';
         });
}

absl::StatusOr<std::vector<InheritedSocket>> TakeInheritedSockets() {
  const std::optional<std::string> pid_text = Take("LISTEN_PID");
  const std::optional<std::string> count_text = Take("LISTEN_FDS");
  const std::optional<std::string> names_text = Take("LISTEN_FDNAMES");

  std::vector<InheritedSocket> result;
  if (!pid_text) return result;
  const std::optional<int> pid = ParsePositive(*pid_text, std::numeric_limits<int>::max());
  if (!pid) return Malformed("LISTEN_PID", *pid_text, "is not a process id");
  // Set for an ancestor that did not remove them.
  if (*pid != ::getpid() || !count_text) return result;
  const std::optional<int> count = ParsePositive(*count_text, kMaxInheritedSockets);
  if (!count) {
    return Malformed("LISTEN_FDS", *count_text,
                     absl::StrCat("is not a number from 1 to ", kMaxInheritedSockets));
  }
  absl::StatusOr<std::vector<std::string>> names = ParseNames(names_text, *count);
  if (!names.ok()) return names.status();

  std::vector<Address> addresses;
  for (int fd = kFirstInheritedDescriptor; fd < kFirstInheritedDescriptor + *count; ++fd) {
    absl::StatusOr<Address> address = CheckListening(fd);
    if (!address.ok()) {
      return Malformed(
          "LISTEN_FDS", *count_text,
          absl::StrCat("names descriptor ", fd, ", which ", address.status().message()));
    }
    addresses.push_back(*std::move(address));
  }

  for (size_t i = 0; i < addresses.size(); ++i) {
    result.push_back({Socket(kFirstInheritedDescriptor + static_cast<int>(i)), addresses[i],
                      std::move((*names)[i])});
    if (absl::Status status = Prepare(result.back()); !status.ok()) return status;
  }
  return result;
}

}  // namespace quintet
