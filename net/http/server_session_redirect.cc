// The part of ServerSession that answers as if something else had been asked for.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "net/http/active_request.h"
#include "net/http/server_context.h"
#include "net/http/server_session.h"
#include "net/http/syntax.h"
#include "net/http/target.h"

namespace quintet::http {
namespace {

// Fields that speak of a body which a redirected request does not have.
bool IsBodyField(const Field& field) {
  constexpr std::array<std::string_view, 4> kNames = {"Content-Length", "Content-Type",
                                                      "Transfer-Encoding", "Expect"};
  return std::any_of(kNames.begin(), kNames.end(), [&field](std::string_view name) {
    return EqualsIgnoreCase(field.name, name);
  });
}

}  // namespace

bool ServerSession::RedirectLocally(std::string_view text) {
  Exchange& exchange = active_->exchange;
  const int count = exchange.redirect_ == nullptr ? 1 : exchange.redirect_->count + 1;
  if (exchange.response_.begun() || count > Exchange::kMaxLocalRedirects) return false;
  if (!text.starts_with('/') || !AllCharsOf(text, kTargetChar)) return false;
  auto redirect = std::make_unique<Exchange::LocalRedirect>();
  redirect->target = std::string(text);
  redirect->request = *exchange.request_;
  redirect->count = count;
  Request& request = redirect->request;
  request.method_ = request.method_ == "HEAD" ? "HEAD" : "GET";
  const Target target = ParseTarget(request.method_, redirect->target);
  if (target.status != 0) return false;
  request.target_ = redirect->target;
  request.path_ = target.path;
  request.query_ = target.query;
  request.body_ = {};
  request.framing_.body = BodyKind::kNone;
  request.framing_.has_length = false;
  request.framing_.length = 0;
  request.fields_.erase(std::remove_if(request.fields_.begin(), request.fields_.end(), IsBodyField),
                        request.fields_.end());
  const Router::Match match = context_->config().router.Find(request.method_, request.path_);
  request.path_rest_ = match.rest;

  exchange.request_ = &request;
  // Destroyed last: views of the request so far may be in the caller's hands.
  const auto previous = std::exchange(exchange.redirect_, std::move(redirect));
  const auto on_body = std::exchange(exchange.on_body_, nullptr);
  const auto on_drained = std::exchange(exchange.on_drained_, nullptr);
  const auto on_eof = std::exchange(exchange.on_eof_, nullptr);
  exchange.body_paused_ = false;
  exchange.deferred_ = false;
  exchange.response_.DropFields();
  if (match.route != nullptr) {
    match.route->handler(exchange);
  } else {
    AnswerUnrouted(match.allow, match.path_known);
  }
  return true;
}

}  // namespace quintet::http
