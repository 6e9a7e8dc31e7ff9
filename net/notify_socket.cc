#include "net/notify_socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/unique_fd.h"

namespace quintet {
namespace {

constexpr char kVariable[] = "NOTIFY_SOCKET";

// Microseconds of the clock that the manager compares with.
uint64_t MonotonicMicroseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

absl::StatusOr<NotifySocket> NotifySocket::Create(std::string_view value) {
  NotifySocket result;
  if (value.empty()) return result;
  result.value_ = std::string(value);
  if (value.front() != '/' && value.front() != '@') {
    return absl::InvalidArgumentError(
        absl::StrCat("environment ", kVariable, ": \"", result.value_,
                     "\" is neither an absolute path nor an abstract name such as @manager"));
  }
  absl::StatusOr<Address> address = Address::Parse("unix:" + result.value_);
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("environment ", kVariable, ": ", address.status().message()));
  }
  result.address_ = *std::move(address);
  return result;
}

absl::StatusOr<NotifySocket> NotifySocket::TakeFromEnvironment() {
  const char* const value = ::getenv(kVariable);
  absl::StatusOr<NotifySocket> result = Create(value != nullptr ? value : "");
  ::unsetenv(kVariable);
  return result;
}

absl::Status NotifySocket::Send(std::string_view assignments) const {
  if (assignments.size() > kMaxMessageBytes) {
    return absl::InvalidArgumentError(absl::StrCat("notification of ", assignments.size(),
                                                   " bytes, more than ", kMaxMessageBytes));
  }
  if (!address_) return absl::OkStatus();
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::sendto(fd.get(), assignments.data(), assignments.size(), MSG_NOSIGNAL,
                              address_->data(), address_->size()) < 0) {
    const int error = errno;
    return ErrnoStatus(error, absl::StrCat("notify ", value_));
  }
  return absl::OkStatus();
}

absl::Status NotifySocket::Ready(std::string_view status) const {
  if (status.empty()) return Send("READY=1");
  // A second line would be another assignment.
  if (status.find('\n') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("notification: the status \"", std::string(status), "\" has several lines"));
  }
  return Send(absl::StrCat("READY=1\nSTATUS=", std::string(status)));
}

absl::Status NotifySocket::Reloading() const {
  return Send(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", MonotonicMicroseconds()));
}

absl::Status NotifySocket::Stopping() const { return Send("STOPPING=1"); }

absl::Status NotifySocket::MainPid(pid_t pid) const { return Send(absl::StrCat("MAINPID=", pid)); }

}  // namespace quintet
