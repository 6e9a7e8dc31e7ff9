// The server, as the client's commands see it: a loop of their own and connections to it.
#ifndef QUINTET_APPS_FILES_REMOTE_H_
#define QUINTET_APPS_FILES_REMOTE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/connection_group.h"
#include "net/connector.h"
#include "net/files/client_session.h"
#include "reactor/event_loop.h"

namespace quintet::files::app {

struct RemoteOptions {
  std::vector<Address> addresses;  // tried in this order
  const Secret* secret = nullptr;
  Duration timeout = std::chrono::seconds(60);  // of a connection, and without progress
};

// Blocks in its calls, in which its loop runs; the transfers are its callbacks. One thread only.
class Remote {
 public:
  // Watches SIGINT, which is blocked in this thread from here on. Errors: of the loop.
  static absl::StatusOr<std::unique_ptr<Remote>> Create(RemoteOptions options);
  // Aborts the connections.
  ~Remote();
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;

  EventLoop& loop() { return *loop_; }

  // Connection `index`, from 0; made where it is not there, or gone. Nothing: it is ready, and
  // session(index) good until RunUntil() is called the next time.
  std::optional<ClientError> Connect(size_t index = 0);
  // Null: not connected.
  ClientSession* session(size_t index = 0);

  // Runs the loop until `done()`. False: Ctrl-C came first.
  bool RunUntil(absl::FunctionRef<bool()> done);
  // Ctrl-C was pressed since the last call of ClearInterrupt().
  bool interrupted() const { return interrupted_; }
  void ClearInterrupt() { interrupted_ = false; }

  // Ends all connections at once; who waits for an answer is told.
  void Disconnect();
  // Says goodbye on all connections and waits a moment for the answer.
  void Quit();

 private:
  struct Link {
    ClientSession* session = nullptr;  // until it has ended
    std::optional<ClientError> end;
  };

  Remote(RemoteOptions options, std::unique_ptr<EventLoop> loop);
  std::optional<ClientError> ConnectTo(const Address& address, Link& link);

  const RemoteOptions options_;
  const std::unique_ptr<EventLoop> loop_;
  std::vector<std::unique_ptr<Link>> connections_;
  std::unique_ptr<ConnectionGroup> group_;  // gone first: its sessions know the links
  bool interrupted_ = false;
};

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_REMOTE_H_
