// Reaches an exchange later, from any thread.
#ifndef QUINTET_NET_HTTP_EXCHANGE_HANDLE_H_
#define QUINTET_NET_HTTP_EXCHANGE_HANDLE_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "net/session.h"

namespace quintet::http {

class Exchange;
class ServerSession;

// Made by Exchange::Defer(). Copies mean the same exchange; all may outlive it, its connection and
// its server.
class ExchangeHandle {
 public:
  using Task = absl::AnyInvocable<void(Exchange&)>;

  ExchangeHandle() = default;

  // Any thread: runs `task` with the exchange on the connection's thread, in a later turn of its
  // loop; tasks of one thread in their order. Destroys the task instead when by then the response
  // is complete or the connection gone. False when not even that can happen any more, because the
  // loop is gone (the task is destroyed before it returns), or for an empty handle.
  bool Run(Task task) const;

  // The connection's thread only, and from outside the callbacks of all sessions, for example in
  // those of other sources of the loop: runs `task` at once. False, without it, when the response
  // is complete, the connection gone or the handle empty.
  bool RunHere(absl::FunctionRef<void(Exchange&)> task) const;

 private:
  friend class Exchange;
  friend class ServerSession;

  // Shared with the exchange; touched on the connection's thread only.
  struct Ticket {
    ServerSession* session = nullptr;  // while the exchange lasts
  };

  ExchangeHandle(std::shared_ptr<Executor> executor, std::shared_ptr<Ticket> ticket)
      : executor_(std::move(executor)), ticket_(std::move(ticket)) {}

  std::shared_ptr<Executor> executor_;
  std::shared_ptr<Ticket> ticket_;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_EXCHANGE_HANDLE_H_
