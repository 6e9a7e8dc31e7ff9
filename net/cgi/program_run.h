// One program that answers one request.
#ifndef QUINTET_NET_CGI_PROGRAM_RUN_H_
#define QUINTET_NET_CGI_PROGRAM_RUN_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "net/cgi/error_log.h"
#include "net/cgi/gateway_state.h"
#include "net/cgi/program_file.h"
#include "net/cgi/reply_parser.h"
#include "net/http/exchange.h"
#include "reactor/event_loop.h"
#include "reactor/process.h"

namespace quintet::cgi {

// Between the process and the exchange, and outlives the exchange where the program goes on behind
// its reply. Owned by the timer that ends it, which its loop owns, so that it is gone before its
// loop is. Loop's thread only.
//
//   phase    means                                    left by
//   Header   the header is incomplete                 its end -> Body, or Redirect;
//                                                     refused, output ended -> Done
//   Redirect it is a local redirect, which is         output and process ended -> Done;
//            followed when the program has ended      failed -> Done
//   Body     the reply was begun                      output and process ended -> Done;
//                                                     failed -> Done
//   Done     the exchange is no longer its business   the process and its streams ended -> gone
//
// The process is killed, and this gone, when the exchange goes first, the time is up, or the reply
// cannot be completed.
class ProgramRun : public std::enable_shared_from_this<ProgramRun> {
 public:
  // Bytes of a request's body that wait for the program, above which no more are read: twice what
  // a pipe holds.
  static constexpr size_t kMaxWaitingInput = 128 << 10;
  // A program that has closed its output is about to end, and how tells whether its output is
  // whole. One that goes on is believed after so long.
  static constexpr Duration kEndPatience = std::chrono::seconds(1);

  // Whether a reply still flows to a client that has closed its sending side is looked at so often
  // at most, also where Options::half_closed_timeout is zero.
  static constexpr Duration kShortestLook = std::chrono::milliseconds(100);

  // Starts `program` and lets it answer. Errors: those of Process::Spawn(); the exchange is as it
  // was then.
  static absl::Status Start(ProgramSlot slot, http::Exchange& exchange,
                            const std::string& script_name, const ProgramFile& program,
                            std::vector<std::string> environment);
  ~ProgramRun() = default;

 private:
  enum class Phase : uint8_t { kHeader, kRedirect, kBody, kDone };
  class Guard;

  ProgramRun(ProgramSlot slot, http::Exchange& exchange, const std::string& script_name)
      : state_(slot.state()),
        slot_(std::move(slot)),
        loop_(*exchange.loop()),
        script_name_(script_name),
        is_head_(exchange.request().method() == "HEAD") {}

  absl::Status Spawn(const ProgramFile& program, std::vector<std::string> environment,
                     bool has_body);
  void Attach(http::Exchange& exchange);

  // The exchange's side.
  void OnBody(http::Exchange& exchange, std::string_view piece, bool last);
  void OnExchangeDrained();
  void OnHalfClosed();
  void AwaitClient(Duration patience);
  void OnHalfClosedTimeout();
  void OnExchangeGone();

  // The program's side.
  void OnOutput(std::string_view bytes);
  void OnOutputEnd();
  void OnErrorOutput(std::string_view bytes);
  void OnInputDrained();
  void OnEnded(const ProcessEnd& end);
  void OnTimeout();

  void BeginReply(std::string_view body);
  // Output behind a header that redirects, of which nothing is used.
  void DropOutput(size_t bytes);
  void RedirectLocally();
  // Why the reply must not go on with so many bytes more; empty where it may.
  std::string WhyTooLong(size_t bytes);
  void WriteBody(http::Exchange& exchange, std::string_view piece);
  // After the end of the output.
  void FinishReply();
  // Answers with `status` where nothing was answered yet, cuts the reply else, and kills.
  void Fail(int status, std::string_view why);
  // Runs `code` with the exchange, if there is one, and lets it go.
  void LetGo(absl::FunctionRef<void(http::Exchange&)> code);
  // Gone, if nothing more is to come.
  void EndIfOver();
  // Gone when the process is: a place is not free before.
  void KillAndEnd();
  // Drops process, place and timers; this is gone when the last who works with it has returned.
  void End();
  std::string HowItEnded() const;
  void Log(LogLevel level, std::string_view what) const;
  // About what a client can bring about as often as it likes.
  void LogLimited(std::string_view what) const;

  const std::shared_ptr<GatewayState> state_;
  std::optional<ProgramSlot> slot_;
  EventLoop& loop_;
  const std::string script_name_;
  Phase phase_ = Phase::kHeader;
  http::ExchangeHandle exchange_;
  std::unique_ptr<Process> process_;
  pid_t pid_ = 0;
  std::unique_ptr<ErrorLog> error_log_;
  ReplyParser parser_;
  uint64_t body_bytes_ = 0;
  const bool is_head_;
  bool input_paused_ = false;
  bool output_ended_ = false;
  bool error_ended_ = false;
  bool killed_ = false;
  std::optional<ProcessEnd> ended_;
  TimerHandle timeout_;  // owns this
  TimerHandle end_patience_;
  TimerHandle half_closed_;
  // As of the last look at a client that has closed its sending side.
  uint64_t seen_body_bytes_ = 0;
  bool seen_pending_ = false;
};

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_PROGRAM_RUN_H_
