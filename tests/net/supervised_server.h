// A supervisor in a process of its own, whose services do what a test says.
#ifndef QUINTET_TESTS_NET_SUPERVISED_SERVER_H_
#define QUINTET_TESTS_NET_SUPERVISED_SERVER_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/supervisor.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {

// In memory that test and server share: what the next load and the next workers do.
struct Script {
  std::atomic<int> workers = 2;
  std::atomic<bool> load_fails = false;
  std::atomic<int> failing_worker = -1;  // cannot start; -2: none can
  std::atomic<int> crashing_worker = -1;
  std::atomic<int> hanging_worker = -1;
  mutable std::atomic<int> hangs = 0;        // how often a worker began to hang
  std::atomic<size_t> addresses = SIZE_MAX;  // of the options: the first so many
  std::atomic<size_t> max_connections = 0;   // of each worker; 0: as the options say
  // The server may open so many descriptors more until the reload is over; -1: no limit.
  std::atomic<int> descriptors_left = -1;
  // The workers may open so many descriptors more, from before they are ready; -1: no limit.
  std::atomic<int> worker_descriptors_left = -1;
  std::atomic<int> drain_timeout_ms = -1;  // -1: as the options say
  std::atomic<bool> ignores_drain = false;
  std::atomic<bool> blocks_drain = false;    // OnDrain() does not return meanwhile
  std::atomic<size_t> descriptor_limit = 0;  // RLIMIT_NOFILE of all from the start; 0: as it is
  // The handler of a client that says "busy" does not return meanwhile; counts as a hang.
  std::atomic<bool> blocks = false;
};

// Echo sessions on 127.0.0.1. The test's process must have no other threads.
class SupervisedServer {
 public:
  SupervisedServer();
  ~SupervisedServer();  // kills it, if it has not ended
  SupervisedServer(const SupervisedServer&) = delete;
  SupervisedServer& operator=(const SupervisedServer&) = delete;

  // Starts it and waits until it serves.
  void Start(WorkerKind kind, const ServerOptions& options,
             Duration start_timeout = std::chrono::seconds(20));

  Script& script() { return *script_; }
  const Address& address() const { return addresses_.front(); }
  const std::vector<Address>& addresses() const { return addresses_; }
  pid_t pid() const { return pid_; }
  void Signal(int signo) const;
  // Waits for a line with this text, behind the one found last. Empty: it did not come.
  std::string WaitForLine(std::string_view text);
  // Waits for the end; the exit code, or -1 where a signal or the test's patience ended it.
  int WaitForExit();

  // Whether a new connection to the first address echoes.
  bool Serves() const;
  // The pids of its children.
  std::vector<pid_t> Workers() const;

 private:
  Script* const script_;
  pid_t pid_ = -1;
  Fd log_;
  std::string unread_;
  std::string seen_;  // for failures
  std::vector<Address> addresses_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_SUPERVISED_SERVER_H_
