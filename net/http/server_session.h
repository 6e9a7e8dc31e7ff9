// The server's side of an HTTP/1.x connection.
#ifndef QUINTET_NET_HTTP_SERVER_SESSION_H_
#define QUINTET_NET_HTTP_SERVER_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "net/http/exchange.h"
#include "net/session.h"
#include "reactor/clock.h"

namespace quintet::http {

struct ActiveRequest;
class ServerContext;

// One request at a time: the next one is looked at when the response of this one is complete, so
// that responses leave in order and no more than one request is ever held. Input that must wait
// stays in the transport.
//
//   state      means                                       left by
//   Idle       no octet of a request yet                   first octet -> Head; keep_alive passed,
//                                                          end of file -> Closed
//   Head       head incomplete                             its end -> Body or Reply;
//                                                          refused -> Closed
//   Body       body incomplete, response open              its end -> Reply; response ended ->
//                                                          Discard; refused -> Closed
//   Reply      request complete, response open             response ended -> Idle or Closed
//   Discard    response ended, body incomplete             body's end -> Idle; too much -> Closed
//   Closed     Transport::Close() or Abort() was called    -
//
// A drain changes one response alone: that to the last request which has been read says
// "Connection: close", and the connection ends behind it (RFC 9112 section 9.6). An idle one waits
// for its next request until the drain's deadline, so that no client finds a connection closed that
// it was told would stay.
//
// Deadlines: Idle keep_alive; Head min(header, request); Body and Discard min(body, request), where
// body stands still while handler or peer hold the body back; Reply request, put off by output.
class ServerSession final : public Session {
 public:
  // Body bytes read and dropped after an early response, so that the connection can live on. Where
  // more is announced, the connection closes instead (RFC 9112 section 9.3).
  static constexpr uint64_t kMaxDiscardBytes = 256 << 10;

  explicit ServerSession(std::shared_ptr<ServerContext> context);
  ~ServerSession() override;

  void OnOpen() override;
  size_t OnData(std::span<const std::byte> data) override;
  void OnEof() override;
  void OnOutputDrained() override;
  void OnDeadline() override;
  void OnDrain() override { draining_ = true; }
  bool idle() const override;
  void OnClosed(CloseReason reason) override;

  // For ExchangeHandle: runs `task` with the exchange in progress, then goes on. False, without it,
  // when there is none.
  bool RunLate(absl::FunctionRef<void(Exchange&)> task);
  // For Exchange, in a task of RunLate().
  bool RedirectLocally(std::string_view target);

 private:
  // Reads and answers as far as `input` goes and nothing must be waited for.
  void Pump(std::string_view& input);
  void Begin();
  void OnHead();
  void OnBodyPiece(std::string_view piece);
  void OnRequestEnd();
  // The response is complete, and the request read or not worth reading.
  void Finish();
  // After each callback: what is due to peer, transport and deadline.
  void Settle();

  // Calls the handler's code; what it left undone or threw is dealt with here.
  void RunUser(absl::FunctionRef<void(Exchange&)> code);
  // Where no handler answers: OPTIONS, 404, 405.
  void AnswerUnrouted(std::string_view allow, bool path_known);
  // A request that cannot be served: the status, where a response is still possible, then the end.
  void Refuse(int status);
  // A response of the session's own making.
  void SendStatus(int status);
  void StartResponse();

  void CloseConnection();
  void AbortConnection(CloseReason reason);
  void DropRequest();

  bool BodyHeldBack() const;
  bool MayRead() const;
  // The response to come may leave the connection open, as things stand.
  bool MayKeepAlive() const;
  void MaybeSendContinue();
  void SyncReading();
  void UpdateDeadline();

  std::shared_ptr<ServerContext> context_;
  std::unique_ptr<ActiveRequest> active_;
  TimePoint deadline_ = kNever;  // as the transport knows it
  TimePoint idle_since_;
  uint64_t requests_ = 0;
  bool closed_ = false;
  bool eof_ = false;
  bool draining_ = false;
  bool reading_stopped_ = false;  // the transport waits for ResumeReading()
  bool input_held_ = false;       // and holds input that was not taken
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_SERVER_SESSION_H_
