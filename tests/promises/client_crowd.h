// Many clients in a process of their own, so that the limits of the one under test are not theirs.
#ifndef QUINTET_TESTS_PROMISES_CLIENT_CROWD_H_
#define QUINTET_TESTS_PROMISES_CLIENT_CROWD_H_

#include <sys/types.h>

#include <cstdint>

#include "tests/support/descriptors.h"

namespace quintet::testing {

// Clients of an echo server on 127.0.0.1: each sends one byte when it has connected and counts as
// served once that has come back. Make it before any thread is started: it forks. Each call waits
// for the crowd's answer, a number of clients, for some ten seconds.
class ClientCrowd {
 public:
  explicit ClientCrowd(int clients);
  ~ClientCrowd();
  ClientCrowd(const ClientCrowd&) = delete;
  ClientCrowd& operator=(const ClientCrowd&) = delete;

  // How many are connected, or in the queue of the listener.
  int Connect(uint16_t port) { return Ask('c', port); }
  // How many are served by now.
  int Served() { return Ask('s'); }
  // How many of those get another byte back.
  int Ping() { return Ask('p'); }
  // Waits until all are served; how many are.
  int ServedInTheEnd() { return Ask('w'); }
  // The same, with each leaving once it is.
  int LeaveOnceServed() { return Ask('l'); }

 private:
  struct Request {
    char command;
    uint16_t port;
  };

  int Ask(char command, uint16_t port = 0);

  pid_t pid_;
  Fd requests_;
  Fd answers_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_PROMISES_CLIENT_CROWD_H_
