// Makes accepting fail on demand, for backends that call accept4(2) and for io_uring alike.
#ifndef QUINTET_TESTS_PROMISES_ACCEPT_FAULTS_H_
#define QUINTET_TESTS_PROMISES_ACCEPT_FAULTS_H_

#include <vector>

namespace quintet::testing {

// While one lives, the next `count` connections that this process accepts are lost, as a network or
// a firewall loses them: the client is closed, accept answers with an error, the `errors` in turn.
// One at a time, and only with loops on the thread that made it.
//
// The program that links this has an accept4(2) and a syscall(2) of its own, which do what libc's
// do, and this. A multishot accept is made a single one on its way to the kernel, because the
// kernel ends it with the error.
class AcceptFaults {
 public:
  AcceptFaults(std::vector<int> errors, int count);
  ~AcceptFaults();
  AcceptFaults(const AcceptFaults&) = delete;
  AcceptFaults& operator=(const AcceptFaults&) = delete;

  // Faults that are still to come.
  int left() const;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_PROMISES_ACCEPT_FAULTS_H_
