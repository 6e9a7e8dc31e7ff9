#include "tests/support/response_parser.h"

#include <strings.h>

#include <algorithm>
#include <cstdlib>

namespace quintet::testing {
namespace {

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Removes a chunked body from the front of `text`; false when it is not complete.
bool TakeChunked(std::string_view& text, std::string& body) {
  std::string_view left = text;
  while (true) {
    const size_t line_end = left.find("\r\n");
    if (line_end == std::string_view::npos) return false;
    const size_t size = std::strtoul(std::string(left.substr(0, line_end)).c_str(), nullptr, 16);
    left.remove_prefix(line_end + 2);
    if (left.size() < size + 2 || left.substr(size, 2) != "\r\n") return false;
    body.append(left.substr(0, size));
    left.remove_prefix(size + 2);
    if (size == 0) break;
  }
  text = left;
  return true;
}

// Removes one response from the front of `text`; false when there is none that is complete.
bool TakeResponse(std::string_view& text, bool no_body, ParsedResponse& response) {
  const size_t head_end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || head_end == std::string_view::npos) return false;
  std::string_view head = text.substr(0, head_end + 2);
  std::string_view left = text.substr(head_end + 4);
  response.status = std::atoi(std::string(head.substr(9, 3)).c_str());
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return false;
    response.fields.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    head.remove_prefix(line.size() + 2);
  }
  no_body = no_body || response.status == 204 || response.status == 304 || response.status == 100;
  if (no_body) {
  } else if (response.Field("Transfer-Encoding") == "chunked") {
    if (!TakeChunked(left, response.body)) return false;
  } else if (response.Count("Content-Length") == 1) {
    const size_t size = std::strtoul(response.Field("Content-Length").c_str(), nullptr, 10);
    if (left.size() < size) return false;
    response.body = left.substr(0, size);
    left.remove_prefix(size);
  } else {
    response.body = left;
    left = {};
  }
  text = left;
  return true;
}

}  // namespace

std::string ParsedResponse::Field(std::string_view name) const {
  for (const auto& [known, value] : fields) {
    if (SameName(known, name)) return value;
  }
  return "";
}

size_t ParsedResponse::Count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(fields.begin(), fields.end(), [name](const auto& field) {
    return SameName(field.first, name);
  }));
}

ParsedOutput ParseResponses(std::string_view output, const std::vector<size_t>& heads) {
  ParsedOutput parsed;
  while (!output.empty()) {
    const bool no_body =
        std::find(heads.begin(), heads.end(), parsed.responses.size()) != heads.end();
    ParsedResponse response;
    if (!TakeResponse(output, no_body, response)) break;
    if (response.status == 100) {
      ++parsed.continues;
    } else {
      parsed.responses.push_back(std::move(response));
    }
  }
  parsed.rest = output;
  return parsed;
}

}  // namespace quintet::testing
