#include "net/http/router.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/http/syntax.h"

namespace quintet::http {
namespace {

// Debian's abseil has a string_view of its own.
absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Invalid(std::string_view what, std::string_view method, std::string_view pattern) {
  return absl::InvalidArgumentError(
      absl::StrCat("route ", ToAbsl(method), " ", ToAbsl(pattern), ": ", ToAbsl(what)));
}

}  // namespace

Router::Router() = default;
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

Router& Router::Handle(std::string_view method, std::string_view pattern, Handler handler,
                       RouteOptions options) {
  status_.Update(Add(method, pattern, std::move(handler), std::move(options)));
  return *this;
}

Router& Router::Get(std::string_view pattern, Handler handler, RouteOptions options) {
  return Handle("GET", pattern, std::move(handler), std::move(options));
}

Router& Router::Post(std::string_view pattern, Handler handler, RouteOptions options) {
  return Handle("POST", pattern, std::move(handler), std::move(options));
}

// `allow` is a list in the order of registration, with HEAD behind GET and OPTIONS always in it.
void Router::AddMethod(std::string_view method, std::string& allow) {
  bool known = false;
  ForEachListElement(allow, [&](std::string_view listed) { known = known || listed == method; });
  if (known) return;
  absl::StrAppend(&allow, allow.empty() ? "" : ", ", ToAbsl(method));
  if (method == "GET") AddMethod("HEAD", allow);
}

absl::Status Router::Add(std::string_view method, std::string_view pattern, Handler handler,
                         RouteOptions options) {
  if (!IsToken(method)) return Invalid("the method is not a token", method, pattern);
  if (method == "TRACE" || method == "CONNECT") {
    return Invalid("this method is not served", method, pattern);
  }
  if (handler == nullptr) return Invalid("there is no handler", method, pattern);
  const bool is_prefix = pattern.ends_with("/*");
  const std::string_view fixed = pattern.substr(0, pattern.size() - (is_prefix ? 1 : 0));
  if (!fixed.starts_with('/') || !AllCharsOf(fixed, kTargetChar) ||
      fixed.find_first_of("?*") != std::string_view::npos) {
    return Invalid("the pattern is neither a path nor a path that ends in /*", method, pattern);
  }

  Endpoint* endpoint = nullptr;
  if (is_prefix) {
    auto at = std::find_if(prefixes_.begin(), prefixes_.end(),
                           [fixed](const auto& entry) { return entry.first == fixed; });
    if (at == prefixes_.end()) {
      at = std::find_if(prefixes_.begin(), prefixes_.end(),
                        [fixed](const auto& entry) { return entry.first.size() < fixed.size(); });
      at = prefixes_.emplace(at, std::string(fixed), Endpoint());
    }
    endpoint = &at->second;
  } else {
    endpoint = &exact_[std::string(fixed)];
  }
  if (endpoint->routes.empty()) endpoint->allow = "OPTIONS";
  for (const auto& route : endpoint->routes) {
    if (route->method == method) return Invalid("registered twice", method, pattern);
  }
  endpoint->routes.push_back(
      std::make_unique<Route>(Route{std::string(method), std::move(handler), std::move(options)}));
  AddMethod(method, endpoint->allow);
  AddMethod(method, allow_);
  return absl::OkStatus();
}

const Router::Route* Router::FindRoute(const Endpoint& endpoint, std::string_view method) {
  const Route* get = nullptr;
  for (const auto& route : endpoint.routes) {
    if (route->method == method) return route.get();
    if (route->method == "GET") get = route.get();
  }
  return method == "HEAD" ? get : nullptr;
}

Router::Match Router::Find(std::string_view method, std::string_view path) const {
  Match match;
  match.allow = allow_;
  const Endpoint* endpoint = nullptr;
  const auto exact = exact_.find(ToAbsl(path));
  if (exact != exact_.end()) {
    endpoint = &exact->second;
  } else {
    for (const auto& [prefix, candidate] : prefixes_) {
      if (!path.starts_with(prefix)) continue;
      endpoint = &candidate;
      match.rest = path.substr(prefix.size());
      break;
    }
  }
  if (endpoint == nullptr) return match;
  match.path_known = true;
  match.allow = endpoint->allow;
  match.route = FindRoute(*endpoint, method);
  return match;
}

}  // namespace quintet::http
