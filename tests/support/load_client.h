// One client of a load: a connection after another, on each a request after another.
#ifndef QUINTET_TESTS_SUPPORT_LOAD_CLIENT_H_
#define QUINTET_TESTS_SUPPORT_LOAD_CLIENT_H_

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/address.h"
#include "tests/support/descriptors.h"
#include "tests/support/load_report.h"

namespace quintet::testing {

// Sends its next request when the last reply is complete and nothing more is there to read, and
// connects anew, at once, when its connection has ended. A server may end it with
// "Connection: close", or with an end of file while no request is outstanding; everything else
// counts against the server. One thread.
//
//     closed      -- socket -->   connecting
//     connecting  -- open -->     idle          -- failed, late -->          closed
//     idle        -- request -->  waiting       -- closed by the server -->  closed
//     waiting     -- reply -->    idle, closed  -- failed, late -->          closed
class LoadClient {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Plan {
    bool reconnects = false;               // asks to close with each request
    uint64_t requests_per_connection = 0;  // then it closes and connects anew; 0: never
    std::chrono::milliseconds think_time{0};
    std::chrono::milliseconds patience{std::chrono::seconds(20)};
  };

  // What the server answers.
  static constexpr std::string_view kBody = "Hello, World!";

  // `counts` must outlive it.
  LoadClient(const Address& address, const Plan& plan, LoadReport& counts);

  bool closed() const { return phase_ == Phase::kClosed; }

  // Does what is due. `stopping`: begins nothing any more, and closes unless a reply is to come.
  void Advance(TimePoint now, bool stopping);
  // What to ask poll(2), and what it has said.
  pollfd Interest() const;
  void OnEvents(short events);

 private:
  enum class Phase { kClosed, kConnecting, kIdle, kWaiting };

  void Open(TimePoint now);
  void OnConnected();
  void StartRequest(TimePoint now);
  void Send();
  void Receive();
  void OnEndOfFile();
  void OnReplyBytes();
  void Fail(uint64_t& count);
  void FailConnect(int error) { Fail(counts_.failed_connects[error]); }
  void Close();

  const Address address_;
  const Plan plan_;
  const std::string_view request_;
  LoadReport& counts_;
  Fd fd_;
  Phase phase_ = Phase::kClosed;
  TimePoint due_;          // closed, idle: for the next step
  TimePoint deadline_;     // connecting, waiting
  uint64_t requests_ = 0;  // on this connection
  size_t sent_ = 0;        // bytes of the request
  std::string input_;      // what there is of the reply
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_LOAD_CLIENT_H_
