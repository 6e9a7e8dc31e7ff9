#include "net/http/server_session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "net/http/active_request.h"
#include "net/http/server_context.h"
#include "net/http/status.h"

namespace quintet::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Zero: none.
TimePoint After(TimePoint start, Duration timeout) {
  return timeout > Duration::zero() ? AddSaturated(start, timeout) : kNever;
}

bool StreamsBody(const Router::Route* route) {
  return route != nullptr && route->options.body == RouteOptions::Body::kStream;
}

}  // namespace

ServerSession::ServerSession(std::shared_ptr<ServerContext> context)
    : context_(std::move(context)) {}

ServerSession::~ServerSession() { DropRequest(); }

void ServerSession::OnOpen() {
  idle_since_ = transport().now();
  UpdateDeadline();
}

size_t ServerSession::OnData(std::span<const std::byte> data) {
  if (closed_) return data.size();
  if (draining_ && active_ != nullptr) active_->more_read.reset();
  reading_stopped_ = false;
  input_held_ = false;
  std::string_view input(reinterpret_cast<const char*>(data.data()), data.size());
  Pump(input);
  if (closed_) return data.size();
  // What is left stops the transport by itself.
  input_held_ = reading_stopped_ = !input.empty();
  Settle();
  return data.size() - input.size();
}

void ServerSession::Pump(std::string_view& input) {
  while (!closed_) {
    if (active_ == nullptr) {
      // A peer that sends requests and reads no responses waits for its output.
      if (input.empty() || !MayRead()) return;
      Begin();
    }
    ActiveRequest& active = *active_;
    RequestReader& reader = active.reader;
    ResponseWriter& response = active.exchange.response();
    if (response.ended() && (active.request_done || !response.keep_alive())) {
      Finish();
      continue;
    }
    if (!MayRead()) return;

    const bool head_before = !reader.head_complete();
    if (!reader.started()) active.started_at = transport().now();
    const size_t input_before = input.size();
    const RequestReader::Event event = reader.Next(input);
    // Once for each request and arrival: it holds until both are over.
    if (draining_ && !active.more_read) active.more_read = reader.ReachesBeyond(input);
    if (!head_before && input.size() != input_before) {
      active.body_seen = true;
      active.arrived_at = transport().now();
    }
    switch (event) {
      case RequestReader::Event::kMore:
        return;
      case RequestReader::Event::kHead:
        OnHead();
        // Without a body the head is the whole request.
        if (!closed_ && reader.complete()) OnRequestEnd();
        break;
      case RequestReader::Event::kBody:
        OnBodyPiece(reader.piece());
        break;
      case RequestReader::Event::kEnd:
        OnRequestEnd();
        break;
      case RequestReader::Event::kRefused:
        Refuse(reader.status());
        break;
    }
  }
}

void ServerSession::Begin() {
  active_ = context_->Acquire();
  active_->reader.Start(context_->config().options.limits);
  Exchange& exchange = active_->exchange;
  exchange.request_ = &active_->reader.request();
  exchange.body_paused_ = false;
  exchange.deferred_ = false;
  exchange.transport_ = &transport();
  exchange.session_ = this;
}

void ServerSession::StartResponse() {
  const RequestReader& reader = active_->reader;
  const bool head_complete = reader.head_complete();
  ResponseWriter::Terms terms;
  terms.transport = &transport();
  terms.dates = &context_->dates();
  terms.server_name = context_->config().options.server_name;
  terms.head_request = reader.is_head_request();
  terms.http_1_0 = head_complete && reader.request().minor_version() == 0;
  active_->exchange.response_.Start(terms);
}

void ServerSession::OnHead() {
  ActiveRequest& active = *active_;
  Request& request = active.reader.request();
  const Limits& limits = context_->config().options.limits;
  ++requests_;
  active.arrived_at = transport().now();
  StartResponse();

  if (!active.reader.head_repeated()) {
    active.match = context_->config().router.Find(request.method(), request.path());
  }
  const Router::Match& match = active.match;
  active.body_limit = limits.body_bytes;
  if (match.route == nullptr) {
    if (request.framing_.expectation_failed) return Refuse(417);
    return AnswerUnrouted(match.allow, match.path_known);
  }
  const RouteOptions& options = match.route->options;
  active.body_limit = options.body_bytes.value_or(limits.body_bytes);
  if (request.framing_.expectation_failed) return Refuse(417);
  if (options.length_required && !request.content_length().has_value()) return Refuse(411);
  if (request.content_length().value_or(0) > active.body_limit) return Refuse(413);
  active.route = match.route;
  request.path_rest_ = match.rest;
  if (StreamsBody(active.route)) {
    RunUser([&active](Exchange& exchange) { active.route->handler(exchange); });
  }
}

void ServerSession::AnswerUnrouted(std::string_view allow, bool path_known) {
  const Request& request = active_->reader.request();
  ResponseWriter& response = active_->exchange.response_;
  const std::string_view method = request.method();
  response.set_keep_alive(MayKeepAlive());
  if (method == "OPTIONS" && (path_known || request.path() == "*")) {
    response.AddField("Allow", allow);
    response.Send("");
    return;
  }
  // These two are refused wherever they point. What follows CONNECT may be no HTTP.
  const bool refused_method = method == "TRACE" || method == "CONNECT";
  if (!path_known && !refused_method) return SendStatus(404);
  if (method == "CONNECT") response.CloseAfter();
  response.AddField("Allow", allow);
  SendStatus(405);
}

void ServerSession::OnBodyPiece(std::string_view piece) {
  ActiveRequest& active = *active_;
  if (active.reader.body_bytes() > active.body_limit) return Refuse(413);
  if (active.exchange.response_.ended()) {
    active.discarded += piece.size();
    if (active.discarded > kMaxDiscardBytes) CloseConnection();
    return;
  }
  if (!StreamsBody(active.route)) {
    active.body.append(piece);
    return;
  }
  if (active.exchange.on_body_ == nullptr) return;
  const bool last = active.reader.complete();
  active.last_delivered = last;
  RunUser([piece, last](Exchange& exchange) {
    // The callback may set another in its place, and must not destroy itself doing so.
    Exchange::BodyCallback callback = std::move(exchange.on_body_);
    exchange.on_body_ = nullptr;
    callback(exchange, piece, last);
    if (exchange.on_body_ == nullptr) exchange.on_body_ = std::move(callback);
  });
}

void ServerSession::OnRequestEnd() {
  ActiveRequest& active = *active_;
  active.request_done = true;
  active.replying_at = transport().now();
  if (active.exchange.response_.ended() || active.route == nullptr) return;
  if (!StreamsBody(active.route)) {
    active.reader.request().body_ = active.body;
    RunUser([&active](Exchange& exchange) { active.route->handler(exchange); });
    return;
  }
  if (active.exchange.on_body_ == nullptr || active.last_delivered) return;
  active.last_delivered = true;
  RunUser([](Exchange& exchange) {
    Exchange::BodyCallback callback = std::move(exchange.on_body_);
    callback(exchange, {}, true);
  });
}

void ServerSession::RunUser(absl::FunctionRef<void(Exchange&)> code) {
  ActiveRequest& active = *active_;
  Exchange& exchange = active.exchange;
  ResponseWriter& response = exchange.response_;
  response.set_keep_alive(response.begun() ? response.keep_alive() : MayKeepAlive());
  bool threw = false;
  try {
    code(exchange);
  } catch (...) {
    threw = true;
  }
  if (threw) {
    if (response.begun()) return AbortConnection(CloseReason::kSessionError);
    return Refuse(500);
  }
  if (response.failed()) {
    return response.end_tells_length() ? AbortConnection(CloseReason::kAborted) : CloseConnection();
  }
  if (response.begun()) active.replying_at = transport().now();
  if (response.ended()) return;
  const bool body_to_come = exchange.on_body_ != nullptr && !active.last_delivered;
  const bool drain_to_come = response.begun() && exchange.on_drained_ != nullptr;
  if (!exchange.deferred_ && !body_to_come && !drain_to_come) Refuse(500);
}

bool ServerSession::RunLate(absl::FunctionRef<void(Exchange&)> task) {
  if (closed_ || active_ == nullptr || active_->exchange.response_.ended()) return false;
  RunUser(task);
  std::string_view none;
  Pump(none);
  Settle();
  return true;
}

void ServerSession::Refuse(int status) {
  ResponseWriter& response = active_->exchange.response_;
  if (!response.begun()) {
    // Refused heads may be those of HEAD all the same.
    if (!active_->reader.head_complete()) StartResponse();
    response.set_keep_alive(false);
    SendStatus(status);
  }
  // A response that was begun stays without its end, which tells the peer.
  CloseConnection();
}

void ServerSession::SendStatus(int status) {
  std::array<char, 64> text{};
  const std::string_view reason = StatusReason(status);
  text[0] = static_cast<char>('0' + status / 100);
  text[1] = static_cast<char>('0' + status / 10 % 10);
  text[2] = static_cast<char>('0' + status % 10);
  text[3] = ' ';
  const size_t size = 4 + reason.copy(text.data() + 4, text.size() - 5);
  text[size] = '\n';
  active_->exchange.Reply(status, std::string_view(text.data(), size + 1));
}

void ServerSession::Finish() {
  const bool keep_alive = active_->exchange.response_.keep_alive();
  if (!keep_alive || eof_) return CloseConnection();
  DropRequest();
  idle_since_ = transport().now();
}

void ServerSession::DropRequest() {
  if (active_ == nullptr) return;
  Exchange& exchange = active_->exchange;
  if (exchange.ticket_ != nullptr) {
    exchange.ticket_->session = nullptr;
    // A ticket that nobody else holds can serve the next exchange.
    if (exchange.ticket_.use_count() != 1) exchange.ticket_.reset();
  }
  exchange.response_.Reset();
  exchange.redirect_.reset();
  if (exchange.on_body_ == nullptr && exchange.on_drained_ == nullptr &&
      exchange.on_eof_ == nullptr) {
    context_->Release(std::move(active_));
    return;
  }
  // Destroyed last and on their own: what they own may do anything but come back here.
  const Exchange::BodyCallback on_body = std::move(exchange.on_body_);
  const Exchange::DrainedCallback on_drained = std::move(exchange.on_drained_);
  const Exchange::EofCallback on_eof = std::move(exchange.on_eof_);
  exchange.on_body_ = nullptr;
  exchange.on_drained_ = nullptr;
  exchange.on_eof_ = nullptr;
  context_->Release(std::move(active_));
}

void ServerSession::CloseConnection() {
  closed_ = true;
  DropRequest();
  if (deadline_ != kNever) transport().SetDeadline(deadline_ = kNever);
  transport().Close();
}

void ServerSession::AbortConnection(CloseReason reason) {
  closed_ = true;
  DropRequest();
  transport().Abort(reason);
}

void ServerSession::OnEof() {
  if (closed_) return;
  eof_ = true;
  if (active_ == nullptr || !active_->reader.started()) return CloseConnection();
  // The peer may have closed its side only: what it asked for is answered (RFC 9112 section 9.6).
  // What it did not ask to the end is not.
  if (!active_->request_done) return Refuse(400);
  Exchange& exchange = active_->exchange;
  if (exchange.on_eof_ == nullptr || exchange.response_.ended()) return;
  RunUser([](Exchange& target) {
    Exchange::EofCallback callback = std::exchange(target.on_eof_, nullptr);
    callback(target);
  });
  std::string_view none;
  Pump(none);
  Settle();
}

void ServerSession::OnOutputDrained() {
  if (closed_) return;
  if (active_ != nullptr) {
    // The transport takes no input above the high mark, so the body's deadline stood still.
    active_->arrived_at = transport().now();
    Exchange& exchange = active_->exchange;
    if (exchange.on_drained_ != nullptr && exchange.response_.begun() &&
        !exchange.response_.ended()) {
      RunUser([](Exchange& target) {
        Exchange::DrainedCallback callback = std::move(target.on_drained_);
        target.on_drained_ = nullptr;
        callback(target);
        if (target.on_drained_ == nullptr) target.on_drained_ = std::move(callback);
      });
    }
    std::string_view none;
    Pump(none);
  }
  Settle();
}

void ServerSession::OnDeadline() {
  if (closed_) return;
  const TimePoint now = transport().now();
  const bool early = now < deadline_;
  deadline_ = kNever;
  if (early) return UpdateDeadline();
  if (active_ == nullptr || !active_->reader.started()) return CloseConnection();
  const ResponseWriter& response = active_->exchange.response_;
  if (active_->request_done) {
    // A peer that is slow to read is the transport's affair, and it has a deadline for it.
    if (!response.begun() || !transport().output_blocked()) {
      return AbortConnection(CloseReason::kDeadline);
    }
    active_->replying_at = now;
    return UpdateDeadline();
  }
  if (response.begun() && !response.ended()) return AbortConnection(CloseReason::kDeadline);
  Refuse(408);
}

bool ServerSession::idle() const {
  return !closed_ && (active_ == nullptr || !active_->reader.started());
}

void ServerSession::OnClosed(CloseReason /*reason*/) {
  closed_ = true;
  DropRequest();
}

bool ServerSession::BodyHeldBack() const {
  const Exchange& exchange = active_->exchange;
  return exchange.body_paused_ && !active_->reader.complete() && !exchange.response_.ended();
}

bool ServerSession::MayRead() const {
  if (active_ == nullptr) return !transport().output_blocked();
  return !active_->request_done && !BodyHeldBack();
}

bool ServerSession::MayKeepAlive() const {
  const ActiveRequest& active = *active_;
  const Request& request = active.reader.request();
  const uint64_t limit = context_->config().options.limits.requests_per_connection;
  if (!request.keep_alive() || eof_ || (limit != 0 && requests_ >= limit)) return false;
  // Requests that have been read are answered, and the last response says that it is the last.
  if (draining_ && !active.more_read.value_or(false) && !input_held_) return false;
  if (active.reader.complete()) return true;
  // The response comes before the end of the body: will the rest come, and is it worth reading? A
  // client that waits for 100 and gets a final status may send the body or not (RFC 9110 section
  // 10.1.1), and nobody could tell a body from the next request.
  if (request.framing_.expect_continue && !active.body_seen && !active.continue_sent) return false;
  // A handler that takes the body reads it to its end; what it leaves is dropped within bounds.
  if (active.exchange.on_body_ != nullptr) return true;
  const uint64_t announced = request.content_length().value_or(0);
  return announced <= active.reader.body_bytes() + kMaxDiscardBytes;
}

void ServerSession::MaybeSendContinue() {
  ActiveRequest& active = *active_;
  if (active.continue_sent || active.body_seen || input_held_) return;
  if (!active.reader.head_complete() || active.reader.complete() || BodyHeldBack()) return;
  if (!active.reader.request().framing_.expect_continue) return;
  if (active.exchange.response_.begun()) return;
  // Sent when somebody wants the body, not before.
  if (StreamsBody(active.route) && active.exchange.on_body_ == nullptr) return;
  active.continue_sent = true;
  transport().Write(kContinue);
}

void ServerSession::SyncReading() {
  if (reading_stopped_) {
    if (!MayRead()) return;
    reading_stopped_ = false;
    input_held_ = false;
    // The deadline stood still meanwhile.
    if (active_ != nullptr) active_->arrived_at = transport().now();
    transport().ResumeReading();
  } else if (active_ != nullptr && BodyHeldBack()) {
    reading_stopped_ = true;
    transport().PauseReading();
  }
}

void ServerSession::Settle() {
  if (closed_) return;
  if (active_ != nullptr) MaybeSendContinue();
  SyncReading();
  UpdateDeadline();
}

void ServerSession::UpdateDeadline() {
  const Timeouts& timeouts = context_->config().options.timeouts;
  TimePoint deadline;
  if (active_ == nullptr || !active_->reader.started()) {
    deadline = After(idle_since_, timeouts.keep_alive);
  } else if (active_->request_done) {
    deadline = After(active_->replying_at, timeouts.request);
  } else {
    deadline = After(active_->started_at, timeouts.request);
    if (!active_->reader.head_complete()) {
      deadline = std::min(deadline, After(active_->started_at, timeouts.header));
    } else if (!BodyHeldBack() && !transport().output_blocked()) {
      deadline = std::min(deadline, After(active_->arrived_at, timeouts.body));
    }
  }
  if (deadline == deadline_) return;
  deadline_ = deadline;
  transport().SetDeadline(deadline);
}

}  // namespace quintet::http
