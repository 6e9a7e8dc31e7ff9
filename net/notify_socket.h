// Tells a service manager how far the program is: the protocol of sd_notify(3), without libsystemd.
#ifndef QUINTET_NET_NOTIFY_SOCKET_H_
#define QUINTET_NET_NOTIFY_SOCKET_H_

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"

namespace quintet {

// Where the manager listens. A value; holds no descriptor, so children inherit none: each message
// opens a socket of its own, as messages are rare. Thread-compatible.
//
// The manager knows the sender by its process id and drops what comes from processes that
// NotifyAccess= (systemd.service(5)) does not allow; none of this can be seen from here.
//
// Messages never block and raise no signal. Errors of sending: the errno of sendto(2), such as
// ENOENT or ECONNREFUSED (no manager listens there any more) and EAGAIN (its queue is full).
class NotifySocket {
 public:
  // The manager ignores longer datagrams (systemd: NOTIFY_BUFFER_MAX).
  static constexpr size_t kMaxMessageBytes = 4096;

  // Nobody to tell: every message succeeds and goes nowhere.
  NotifySocket() = default;

  // `value` as the manager sets NOTIFY_SOCKET: an absolute path, or "@NAME" for an abstract socket
  // (unix(7)). Empty: nobody to tell. InvalidArgument says what else it is; also for the addresses
  // of AF_VSOCK, which are for virtual machines.
  static absl::StatusOr<NotifySocket> Create(std::string_view value);

  // Create() from the environment variable NOTIFY_SOCKET, which is then removed, so that programs
  // started from here do not speak for this one. Changes the environment: before there are threads.
  static absl::StatusOr<NotifySocket> TakeFromEnvironment();

  bool enabled() const { return address_.has_value(); }
  // What Create() was given. A program that is to take this one's place gets it as NOTIFY_SOCKET.
  const std::string& value() const { return value_; }

  // Sends one datagram of assignments, separated by line feeds: "READY=1\nSTATUS=Serving".
  // InvalidArgument: longer than kMaxMessageBytes.
  absl::Status Send(std::string_view assignments) const;

  // READY=1: start-up, or a reload, is over. `status` is one line for people; empty: none.
  absl::Status Ready(std::string_view status = {}) const;
  // RELOADING=1, with the MONOTONIC_USEC= that Type=notify-reload (systemd 253) wants. Ready()
  // follows when the reload is over.
  absl::Status Reloading() const;
  // STOPPING=1: the program ends, which may take as long as it drains.
  absl::Status Stopping() const;
  // MAINPID=: from now on that process is the service. Both processes should live on for a while:
  // a message of one that has ended before it is read is dropped.
  absl::Status MainPid(pid_t pid) const;

 private:
  std::optional<Address> address_;
  std::string value_;
};

}  // namespace quintet

#endif  // QUINTET_NET_NOTIFY_SOCKET_H_
