// One request and its response, as a handler holds them.
#ifndef QUINTET_NET_HTTP_EXCHANGE_H_
#define QUINTET_NET_HTTP_EXCHANGE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/http/exchange_handle.h"
#include "net/http/request.h"
#include "net/http/response_writer.h"

namespace quintet::http {

// Lives from the call of its handler until the response is complete and the request read, or until
// the connection is gone. Its methods are for the connection's thread, inside the handler and the
// callbacks set here and tasks of ExchangeHandle::Run(); a reference must not be kept beyond.
//
// A handler answers at once, or it says how the answer will come: by Defer(), by OnBody() while the
// body has not ended, or by OnDrained(). One that returns with none of these is answered for with
// 500. Callbacks are destroyed, uncalled, when the connection goes first: what they own tells.
class Exchange {
 public:
  // A piece of the request body, valid during the call. `last`: there is no more, and the piece may
  // be empty.
  using BodyCallback = absl::AnyInvocable<void(Exchange&, std::string_view piece, bool last)>;
  using DrainedCallback = absl::AnyInvocable<void(Exchange&)>;
  using EofCallback = absl::AnyInvocable<void(Exchange&)>;

  // A response may be redirected so often on this side; then something goes round in circles.
  static constexpr int kMaxLocalRedirects = 10;

  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const Request& request() const { return *request_; }
  ResponseWriter& response() { return response_; }

  // A whole response of a few bytes: `text` as text/plain.
  void Reply(int status, std::string_view text);

  // For routes that stream the body: who takes it. To be set in the handler, or before a paused
  // body is resumed: what comes while nobody takes it is dropped. Not null.
  void OnBody(BodyCallback callback) { on_body_ = std::move(callback); }
  // Holds the body back, which holds the peer back in the end; a piece already read may still come.
  // While it is held back only the request's own deadline runs.
  void PauseBody() { body_paused_ = true; }
  void ResumeBody() { body_paused_ = false; }

  // Called each time that ResponseWriter::blocked() has become false again. Not null.
  void OnDrained(DrainedCallback callback) { on_drained_ = std::move(callback); }

  // Called, once, when the peer has closed its sending side behind a complete request: it has gone
  // away, or it has nothing more to ask and waits for the response. One cannot tell. Not noticed
  // while nothing is read: body held back, requests waiting behind this one. Not null.
  void OnEof(EofCallback callback) { on_eof_ = std::move(callback); }

  // Has the request answered as if GET (or HEAD, where HEAD was asked) of `target`, a path and
  // perhaps a query, had been asked for without a body: the local redirect of RFC 3875 section
  // 6.2.2. From a task of ExchangeHandle only. Callbacks, status and fields set until now are
  // dropped, and request() is another one from here on. False, with nothing done: the response was
  // begun, the target is not valid, or this was done kMaxLocalRedirects times.
  [[nodiscard]] bool RedirectLocally(std::string_view target);

  // The answer comes later, perhaps from another thread, by the handle. Requests behind this one
  // wait meanwhile; its own deadline (Timeouts::request) goes on.
  ExchangeHandle Defer();

  // The client's address: the other end of the connection, or whom a proxy named in a PROXY header.
  // Mostly a system call. An error when the connection has just been closed.
  absl::StatusOr<Address> PeerAddress() const;
  // The server's address that the client is connected to, by a system call.
  absl::StatusOr<Address> LocalAddress() const;
  // The connection's loop; null where it has none (Transport::loop()).
  EventLoop* loop() const { return transport_->loop(); }
  // The server is about to go away, not merely to be replaced by a successor: for replies to those
  // who ask how it is, so that they send new work elsewhere.
  bool stopping() const;

 private:
  friend class ServerSession;

  // What is asked for instead.
  struct LocalRedirect {
    std::string target;
    Request request;
    int count = 1;
  };

  const Request* request_ = nullptr;
  ResponseWriter response_;
  BodyCallback on_body_;
  DrainedCallback on_drained_;
  EofCallback on_eof_;
  std::unique_ptr<LocalRedirect> redirect_;
  bool body_paused_ = false;
  bool deferred_ = false;
  Transport* transport_ = nullptr;
  ServerSession* session_ = nullptr;
  std::shared_ptr<ExchangeHandle::Ticket> ticket_;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_EXCHANGE_H_
