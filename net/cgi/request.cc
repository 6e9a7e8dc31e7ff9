#include "net/cgi/request.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "net/http/syntax.h"
#include "reactor/version.h"

namespace quintet::cgi {
namespace {

constexpr std::array<std::string_view, 6> kHiddenVariables = {
    "HTTP_AUTHORIZATION", "HTTP_CONTENT_LENGTH",    "HTTP_CONTENT_TYPE",
    "HTTP_PROXY",         "HTTP_TRANSFER_ENCODING", "HTTP_PROXY_AUTHORIZATION"};

constexpr uint16_t kHttpPort = 80;

std::string Variable(std::string_view name, std::string_view value) {
  std::string variable;
  variable.reserve(name.size() + 1 + value.size());
  variable.append(name).append("=").append(value);
  return variable;
}

// The name of the variable of a field; empty where there is to be none.
std::string FieldVariable(std::string_view name) {
  std::string variable = "HTTP_";
  for (const char c : name) {
    if (c != '-' && !absl::ascii_isalnum(static_cast<unsigned char>(c))) return {};
    variable += c == '-' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  const bool hidden = std::find(kHiddenVariables.begin(), kHiddenVariables.end(), variable) !=
                      kHiddenVariables.end();
  return hidden ? std::string() : variable;
}

// An address without its port, and without brackets: "::1".
std::string HostNumber(const Address& address) {
  if (address.is_unix()) return "unix:";
  std::string text = address.ToString();
  text.erase(text.rfind(':'));
  if (text.starts_with('[')) text = text.substr(1, text.size() - 2);
  return text;
}

// Of "name:port" or "[::1]:port". IPv6 addresses keep their brackets (section 4.1.14).
std::string_view ServerName(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) {
    return host;
  }
  return host.substr(0, colon);
}

std::string NameOf(const Request& request) {
  if (!request.host.empty()) return std::string(ServerName(request.host));
  if (!request.local.has_value() || request.local->is_unix()) return "localhost";
  const std::string number = HostNumber(*request.local);
  return request.local->family() == AF_INET6 ? "[" + number + "]" : number;
}

void AddFields(std::span<const http::Field> fields, std::vector<std::string>& environment) {
  std::vector<std::pair<std::string, std::string>> variables;
  for (const http::Field& field : fields) {
    std::string name = FieldVariable(field.name);
    if (name.empty()) continue;
    const auto same = std::find_if(variables.begin(), variables.end(),
                                   [&name](const auto& each) { return each.first == name; });
    if (same == variables.end()) {
      variables.emplace_back(std::move(name), field.value);
    } else {
      same->second.append(name == "HTTP_COOKIE" ? "; " : ", ").append(field.value);
    }
  }
  for (const auto& [name, value] : variables) environment.push_back(Variable(name, value));
}

}  // namespace

std::vector<std::string> MakeEnvironment(const Request& request,
                                         std::span<const std::string> base) {
  std::vector<std::string> environment = {
      "GATEWAY_INTERFACE=CGI/1.1",
      Variable("QUERY_STRING", request.query),
      Variable("REQUEST_METHOD", request.method),
      Variable("SCRIPT_NAME", request.script_name),
      Variable("SERVER_NAME", NameOf(request)),
      Variable("SERVER_PROTOCOL", request.http_minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1"),
      Variable("SERVER_SOFTWARE", std::string("quintet/") + Version()),
      // Not of the RFC, but expected by many programs.
      Variable("REQUEST_URI", request.target),
      Variable("SCRIPT_FILENAME", request.script_filename),
  };
  const bool has_port = request.local.has_value() && !request.local->is_unix();
  environment.push_back(absl::StrCat("SERVER_PORT=", has_port ? request.local->port() : kHttpPort));
  if (request.peer.has_value()) {
    environment.push_back(Variable("REMOTE_ADDR", HostNumber(*request.peer)));
  }
  if (request.content_length.has_value()) {
    environment.push_back(absl::StrCat("CONTENT_LENGTH=", *request.content_length));
    for (const http::Field& field : request.fields) {
      if (!http::EqualsIgnoreCase(field.name, "Content-Type")) continue;
      environment.push_back(Variable("CONTENT_TYPE", field.value));
      break;
    }
  }
  if (!request.path_info.empty()) {
    environment.push_back(Variable("PATH_INFO", request.path_info));
    if (!request.document_root.empty()) {
      environment.push_back(Variable(
          "PATH_TRANSLATED", std::string(request.document_root) + std::string(request.path_info)));
    }
  }
  if (!request.auth_type.empty()) {
    environment.push_back(Variable("AUTH_TYPE", request.auth_type));
    environment.push_back(Variable("REMOTE_USER", request.remote_user));
  }
  AddFields(request.fields, environment);
  environment.insert(environment.end(), base.begin(), base.end());
  return environment;
}

}  // namespace quintet::cgi
