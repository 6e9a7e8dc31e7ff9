// Takes a server's output apart, for tests.
#ifndef QUINTET_TESTS_SUPPORT_RESPONSE_PARSER_H_
#define QUINTET_TESTS_SUPPORT_RESPONSE_PARSER_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quintet::testing {

struct ParsedResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;  // without its transfer coding

  // Empty without such a field; the names compare without case.
  std::string Field(std::string_view name) const;
  size_t Count(std::string_view name) const;
};

struct ParsedOutput {
  std::vector<ParsedResponse> responses;  // without the interim ones
  size_t continues = 0;                   // 100
  std::string rest;                       // what is no complete response
};

// `heads`: which of the responses, by their place, answer HEAD and have no body. A response without
// length and coding takes everything behind it.
ParsedOutput ParseResponses(std::string_view output, const std::vector<size_t>& heads = {});

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_RESPONSE_PARSER_H_
