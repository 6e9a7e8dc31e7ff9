// What became of the connections and requests of a load.
#ifndef QUINTET_TESTS_SUPPORT_LOAD_REPORT_H_
#define QUINTET_TESTS_SUPPORT_LOAD_REPORT_H_

#include <cstdint>
#include <map>
#include <string>

namespace quintet::testing {

struct LoadReport {
  uint64_t connects = 0;
  uint64_t requests = 0;      // sent
  uint64_t answered = 0;      // 200, and the body that it should be
  uint64_t clean_closes = 0;  // by the server, with Connection: close or between requests

  // From here on failures.
  std::map<int, uint64_t> failed_connects;  // by errno; ETIMEDOUT also when the patience ended
  uint64_t resets = 0;       // ECONNRESET, EPIPE or another error, a request being outstanding
  uint64_t idle_resets = 0;  // likewise, between requests
  // End of file before the first byte of the reply to a request that was sent: a client would have
  // to send it again, and may not know whether it has been done.
  uint64_t closed_under_request = 0;
  uint64_t truncated = 0;    // end of file within a reply
  uint64_t bad_replies = 0;  // not HTTP, not 200, not the body, or bytes behind it
  uint64_t timeouts = 0;     // no complete reply in time

  uint64_t failed_connects_of_any_kind() const;
  uint64_t failures() const;
  bool clean() const { return failures() == 0; }
  std::string ToString() const;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_LOAD_REPORT_H_
