// A second reading of HTTP/1.1, of its framing alone: where requests begin and end, and what their
// bodies are. Written from RFC 9112, shares nothing with net/http/, and is as plain as it can be:
// what both say may be believed.
#ifndef QUINTET_TESTS_FUZZ_HTTP_FRAMING_MODEL_H_
#define QUINTET_TESTS_FUZZ_HTTP_FRAMING_MODEL_H_

#include <string>
#include <string_view>
#include <vector>

namespace quintet::testing {

struct ModelRequest {
  std::string method;  // with its space read
  std::string target;
  std::string body;  // without its transfer coding
  bool head_complete = false;
  bool complete = false;
  bool closes = false;  // no request follows on the connection (section 9.3)
  // Nothing but the framing can be a reason for a server to refuse it: a method that all know, a
  // target and a host of the plainest letters, no expectation, nothing in large numbers.
  bool plain = true;
};

struct ModelStream {
  enum class End {
    kOpen,    // all input belongs to requests, of which the last one may be incomplete
    kBad,     // the last one breaks a rule, whatever follows
    kClosed,  // the last one is complete, and the connection ends behind it
  };
  std::vector<ModelRequest> requests;
  End end = End::kOpen;
};

// Where the RFC lets a server choose between repairing and refusing, it is refused.
ModelStream ReadStream(std::string_view bytes);

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_FUZZ_HTTP_FRAMING_MODEL_H_
